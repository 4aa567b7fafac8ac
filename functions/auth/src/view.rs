//! Accounts and sessions as clients see them.

use chrono::{DateTime, Utc};
use halyard_domain::{
    SessionId,
    authz::Grants,
    session::Session,
    user::{AccountStatus, Role},
};
use halyard_http::rfc3339;
use halyard_store::users::User;
use schemars::JsonSchema;
use serde::Serialize;

/// An account.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub struct UserView {
    id: i64,
    username: String,
    email: String,
    full_name: Option<String>,
    #[schemars(with = "Role")]
    role: &'static str,
    department: Option<String>,
    permissions: Vec<String>,
    #[schemars(with = "AccountStatus")]
    account_status: &'static str,
    email_verified: bool,
    two_factor_enabled: bool,
    #[schemars(with = "DateTime<Utc>")]
    created_at: String,
    #[schemars(with = "Option<DateTime<Utc>>")]
    last_login: Option<String>,
    login_count: i64,
    #[schemars(with = "DateTime<Utc>")]
    password_changed_at: String,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.0,
            username: user.username.clone(),
            email: user.email.clone(),
            full_name: user.full_name.clone(),
            role: user.role.as_str(),
            department: user.department.clone(),
            permissions: Grants::of(user.role, &user.permissions).0,
            account_status: user.status.as_str(),
            email_verified: user.email_verified,
            two_factor_enabled: user.two_factor_enabled,
            created_at: rfc3339(user.created_at),
            last_login: user.last_login.map(rfc3339),
            login_count: user.login_count,
            password_changed_at: rfc3339(user.password_changed_at),
        }
    }
}

/// A session in its owner's list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub struct SessionView {
    id: SessionId,
    /// The `User-Agent` that opened it.
    device: String,
    ip: String,
    #[schemars(with = "DateTime<Utc>")]
    created_at: String,
    #[schemars(with = "DateTime<Utc>")]
    last_used_at: String,
    #[schemars(with = "DateTime<Utc>")]
    expires_at: String,
    /// Whether it is the one that asks.
    current: bool,
}

impl SessionView {
    /// The view of `session` for somebody who calls from the session `current`.
    pub fn new(session: Session, current: SessionId) -> Self {
        Self {
            current: session.id == current,
            id: session.id,
            device: session.device,
            ip: session.ip,
            created_at: rfc3339(session.created_at),
            last_used_at: rfc3339(session.last_used_at),
            expires_at: rfc3339(session.expires_at),
        }
    }
}
