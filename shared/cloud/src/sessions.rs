//! The session store: sessions as [`Records`] of their users, under `session#{id}`.

use chrono::{DateTime, Utc};
use halyard_domain::{SessionId, UserId, session::Session};

use crate::{
    records::{Record, RecordId, Records},
    table::TableError,
};

/// Why the session store could not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Somebody else changed the session since it was read (or it exists already, or no longer).
    #[error("the session was changed meanwhile")]
    Conflict,
    /// The table did not answer. A write may or may not have happened.
    #[error("the session table is unavailable: {0}")]
    Unavailable(String),
    /// What is stored cannot be read, or the table refused the request.
    #[error("the session table gave an unexpected answer: {0}")]
    Unexpected(String),
}

impl From<TableError> for SessionError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::ConditionFailed => Self::Conflict,
            TableError::Unavailable(why) => Self::Unavailable(why),
            TableError::Refused(why) => Self::Unexpected(why),
        }
    }
}

/// The store of sessions.
pub type Sessions = Records<Session>;
/// A session as it is stored.
pub type Stored = crate::records::Stored<Session>;

impl RecordId for SessionId {
    type Record = Session;
}

impl Record for Session {
    type Id = SessionId;
    const PREFIX: &'static str = "session#";

    fn id(&self) -> SessionId {
        self.id
    }

    fn user_id(&self) -> UserId {
        self.user_id
    }

    fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at
    }

    fn revoked_at(&self) -> Option<DateTime<Utc>> {
        self.revoked_at
    }

    fn revoked(self, at: DateTime<Utc>) -> Self {
        Self { revoked_at: Some(at), ..self }
    }
}
