//! The session record: one per login, the family of its refresh tokens, and what the verifier needs to know.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{SessionId, UserId, authz::Grants, user::Role};

/// One login. Lives in DynamoDB (PK user, SK session), cached in Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Which session.
    pub id: SessionId,
    /// Whose.
    pub user_id: UserId,
    /// The user's name when the session began or was last refreshed.
    pub username: String,
    /// The user's role, likewise.
    pub role: Role,
    /// What the user may do, likewise.
    pub permissions: Grants,
    /// The user's `auth_epoch` that this session was issued under; a higher epoch ends it.
    pub auth_epoch: i64,
    /// Grows with each rotation of the refresh token; only the token that carries the present number is good.
    pub refresh_counter: i64,
    /// SHA-256 of the refresh token that is good now, base64url.
    pub refresh_hash: String,
    /// Where it was opened from: the client's User-Agent, cut to 200 characters.
    pub device: String,
    /// The client's address at login.
    pub ip: String,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When its refresh token was last used.
    pub last_used_at: DateTime<Utc>,
    /// When the family ends, whatever happens. `DynamoDB`'s TTL deletes days late, so every read checks this.
    pub expires_at: DateTime<Utc>,
    /// When the caller proved who they are (`auth_time`).
    pub authenticated_at: DateTime<Utc>,
    /// How (`amr`, RFC 8176): `pwd`, later `otp`.
    pub methods: Vec<String>,
    /// Set once the session has been ended: a tombstone, kept until `expires_at`.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl Session {
    /// Is the session good at `now`, given the user's present epoch?
    pub fn is_live(&self, now: DateTime<Utc>, user_epoch: i64) -> bool {
        self.revoked_at.is_none() && now < self.expires_at && self.auth_epoch >= user_epoch
    }
}
