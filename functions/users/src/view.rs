//! Accounts and entries of the audit log as clients see them.

use halyard_domain::{UserId, audit::hex};
use halyard_http::rfc3339;
use halyard_store::{audit::Kept, users::User};
use serde::Serialize;
use serde_json::Value;

/// An account, for those who look after it. `role`, `permissions` and `account_status` are what PATCH takes.
#[derive(Debug, Serialize)]
pub struct UserView {
    id: UserId,
    username: String,
    email: String,
    full_name: Option<String>,
    department: Option<String>,
    role: &'static str,
    /// Personal grants, beyond what the role brings.
    permissions: Vec<String>,
    /// Both together.
    effective_permissions: Vec<String>,
    account_status: &'static str,
    email_verified: bool,
    two_factor_enabled: bool,
    created_at: String,
    updated_at: String,
    last_login: Option<String>,
    login_count: i64,
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
#[derive(Debug, Serialize)]
pub struct EntryView {
    id: i64,
    at: String,
    /// Null: the platform itself.
    actor: Option<ActorView>,
    action: String,
    target: String,
    detail: Value,
    request_id: Option<String>,
    /// In hexadecimal digits.
    hash: String,
}

/// Who did it.
#[derive(Debug, Serialize)]
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
