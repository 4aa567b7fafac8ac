//! Accounts and entries of the audit log as clients see them.

use chrono::{DateTime, Utc};
use halyard_domain::{
    UserId,
    audit::hex,
    user::{AccountStatus, Role},
};
use halyard_http::rfc3339;
use halyard_store::{audit::Kept, users::User};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// An account, for those who look after it. `role`, `permissions` and `account_status` are what PATCH takes.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Account")]
pub struct UserView {
    id: UserId,
    username: String,
    email: String,
    full_name: Option<String>,
    department: Option<String>,
    #[schemars(with = "Role")]
    role: &'static str,
    /// Personal grants, beyond what the role brings.
    permissions: Vec<String>,
    /// What the role brings, and the personal grants.
    effective_permissions: Vec<String>,
    #[schemars(with = "AccountStatus")]
    account_status: &'static str,
    email_verified: bool,
    two_factor_enabled: bool,
    #[schemars(with = "DateTime<Utc>")]
    created_at: String,
    #[schemars(with = "DateTime<Utc>")]
    updated_at: String,
    #[schemars(with = "Option<DateTime<Utc>>")]
    last_login: Option<String>,
    login_count: i64,
    #[schemars(with = "DateTime<Utc>")]
    password_changed_at: String,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            effective_permissions: user.rights().grants().0,
            username: user.username,
            email: user.email,
            full_name: user.full_name,
            department: user.department,
            role: user.role.as_str(),
            permissions: user.permissions,
            account_status: user.status.as_str(),
            email_verified: user.email_verified,
            two_factor_enabled: user.two_factor_enabled,
            created_at: rfc3339(user.created_at),
            updated_at: rfc3339(user.updated_at),
            last_login: user.last_login.map(rfc3339),
            login_count: user.login_count,
            password_changed_at: rfc3339(user.password_changed_at),
        }
    }
}

/// An entry of the audit log.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
pub struct EntryView {
    id: i64,
    #[schemars(with = "DateTime<Utc>")]
    at: String,
    /// Null: the platform itself.
    actor: Option<ActorView>,
    action: String,
    target: String,
    #[schemars(with = "Map<String, Value>")]
    detail: Value,
    request_id: Option<String>,
    /// In hexadecimal digits.
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    hash: String,
}

/// Who did it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditActor")]
pub struct ActorView {
    id: UserId,
    /// As it is today.
    username: Option<String>,
}

impl From<Kept> for EntryView {
    fn from(kept: Kept) -> Self {
        Self {
            id: kept.id,
            at: rfc3339(kept.at),
            actor: kept.actor.map(|id| ActorView { id, username: kept.actor_name }),
            action: kept.action,
            target: kept.target,
            detail: kept.detail,
            request_id: kept.request_id,
            hash: hex(&kept.hash),
        }
    }
}
