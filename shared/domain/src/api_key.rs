//! API keys: credentials of programs, each within a scope of what its owner may do.

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ApiKeyId, UserId,
    authz::{Grants, role_within},
    user::Role,
};

/// The longest life of a key, and that of one that asks for none.
pub const LONGEST: Duration = Duration::days(365);
/// How many live keys a user may have.
pub const MOST: usize = 50;
/// How many they may have together with those that they deleted within [`REMEMBERED`]: what is kept of a user has a bound.
pub const MOST_REMEMBERED: usize = 200;
/// How long a deleted key is remembered; much longer than any cache or late write.
pub const REMEMBERED: Duration = Duration::days(1);

/// Who a key belongs to, as the account was when it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Their name.
    pub username: String,
    /// Their role.
    pub role: Role,
    /// What they may do.
    pub permissions: Grants,
    /// The epoch of which all this is true. A higher one means that something has changed.
    pub auth_epoch: i64,
}

/// One key. Lives in DynamoDB beside its owner's sessions, cached in Redis as they are. The key itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Which key.
    pub id: ApiKeyId,
    /// Whose.
    pub user_id: UserId,
    /// What its owner calls it.
    pub name: String,
    /// SHA-256 of the key, base64url. It has 256 random bits, so nothing slower is needed.
    pub hash: String,
    /// What it may do at most, beyond the owner's own things.
    pub scope: Grants,
    /// The owner.
    pub owner: Owner,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends, whatever happens. `DynamoDB`'s TTL deletes days late, so every read checks this.
    pub expires_at: DateTime<Utc>,
    /// Set once it has been deleted: a tombstone, which ends as well.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl ApiKey {
    /// Is the key good at `now`, given the owner's present epoch?
    pub fn is_live(&self, now: DateTime<Utc>, user_epoch: i64) -> bool {
        self.revoked_at.is_none() && now < self.expires_at && self.owner.auth_epoch >= user_epoch
    }

    /// The same key, deleted.
    #[must_use]
    pub fn revoked(self, at: DateTime<Utc>) -> Self {
        Self { revoked_at: Some(at), expires_at: self.expires_at.min(at + REMEMBERED), ..self }
    }

    /// What may be done with it: its scope, within what its owner may do.
    pub fn permissions(&self) -> Grants {
        self.owner.permissions.within(&self.scope)
    }

    /// The role that it stands for: the owner's, if the scope takes nothing of it away.
    pub fn role(&self) -> Role {
        role_within(self.owner.role, &self.permissions())
    }
}
