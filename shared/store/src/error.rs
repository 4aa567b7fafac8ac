//! What can go wrong, told apart by what the caller can do about it.

use std::{
    error::Error,
    fmt,
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A rule of the database that a write would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constraint {
    /// Somebody else has that user name (without regard to case).
    UsernameTaken,
    /// Somebody else has that e-mail address (without regard to case).
    EmailTaken,
    /// A task with that id exists.
    TaskIdTaken,
    /// A workflow with that id exists.
    WorkflowIdTaken,
    /// Another schedule of the user has that place.
    SchedulePlaceTaken,
    /// The lane takes nothing new from clients.
    LaneDraining,
}

impl Constraint {
    fn named(name: &str) -> Option<Self> {
        match name {
            "users_username_key" => Some(Self::UsernameTaken),
            "users_verified_email_key" => Some(Self::EmailTaken),
            "tasks_pkey" => Some(Self::TaskIdTaken),
            "workflows_pkey" => Some(Self::WorkflowIdTaken),
            "schedules_place_key" => Some(Self::SchedulePlaceTaken),
            "lanes_draining" => Some(Self::LaneDraining),
            _ => None,
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UsernameTaken => "the user name is taken",
            Self::EmailTaken => "the e-mail address is taken",
            Self::TaskIdTaken => "the task id is taken",
            Self::WorkflowIdTaken => "the workflow id is taken",
            Self::SchedulePlaceTaken => "the place among the user's schedules is taken",
            Self::LaneDraining => "the lane is being drained",
        })
    }
}

/// Why the database did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is starting, stopping, full, overloaded or read-only. Worth another try later; a write
    /// may have happened or not.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// A named constraint refused the write; nothing was written.
    #[error("{0}")]
    Conflict(Constraint),
    /// A fault of ours: a broken statement, a value that does not decode.
    #[error("the database call failed: {0}")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

impl StoreError {
    /// Is it the dependency that is down (503), rather than us who are wrong (500)?
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// The same error for another who waited for the same statement.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Unavailable(source) => Self::Unavailable(source.to_string().into()),
            Self::Conflict(constraint) => Self::Conflict(*constraint),
            Self::Internal(source) => Self::Internal(source.to_string().into()),
        }
    }

    pub(crate) fn unavailable(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        FAULTS.fetch_add(1, Ordering::Relaxed);
        Self::Unavailable(why.into())
    }
}

/// Counts what may have broken a connection; a pooled connection verified before the latest of them is tested before
/// it is used again.
static FAULTS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn faults() -> u64 {
    FAULTS.load(Ordering::Relaxed)
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Database(e) => {
                if let Some(constraint) = e.constraint().and_then(Constraint::named) {
                    return Self::Conflict(constraint);
                }
                let code = e.code().unwrap_or_default();
                if is_another_schema(&code) {
                    return Self::unavailable(format!("its schema is not this program's, migrate first: {error}"));
                }
                if is_outage(&error) { Self::unavailable(error) } else { Self::Internal(error.into()) }
            }
            _ if is_outage(&error) => Self::unavailable(error),
            _ => Self::Internal(error.into()),
        }
    }
}

/// Is it the server that cannot, rather than the statement that is wrong?
pub(crate) fn is_outage(error: &sqlx::Error) -> bool {
    use sqlx::Error as E;
    match error {
        E::Database(e) => is_passing(&e.code().unwrap_or_default()),
        // A garbled stream is a connection that broke in the middle of a message.
        E::Io(_) | E::Tls(_) | E::Protocol(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => true,
        _ => false,
    }
}

/// Does a SQLSTATE say that the server cannot, rather than that the statement is wrong?
/// Source: PostgreSQL documentation, appendix A, "PostgreSQL Error Codes".
fn is_passing(code: &str) -> bool {
    // Connection exception, insufficient resources (too many connections, disk full), operator intervention (shutdown,
    // cannot connect now, statement timeout), system error; serialization failure, deadlock, lock timeout, read-only,
    // and what a server says that is being set up: no such role or database yet.
    const CLASSES: [&str; 5] = ["08", "53", "57", "58", "28"];
    const CODES: [&str; 5] = ["40001", "40P01", "55P03", "25006", "3D000"];
    code.get(..2).is_some_and(|class| CLASSES.contains(&class)) || CODES.contains(&code)
}

/// Does a SQLSTATE say that the statement is for another schema? Statements are checked when they are compiled, so what
/// they name is missing only where the migrations of this build have not been applied yet. It works once they are.
fn is_another_schema(code: &str) -> bool {
    // Undefined column, function, table, object.
    const CODES: [&str; 4] = ["42703", "42883", "42P01", "42704"];
    CODES.contains(&code)
}

/// Gives a call a time limit: a server that accepts but never answers is as unavailable as one that is gone.
///
/// # Errors
/// [`StoreError::Unavailable`] once `limit` has passed; the call may still take effect. Else what the call answers.
pub async fn within<T, E: From<StoreError>>(limit: Duration, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::unavailable(format!("no answer within {limit:?}")).into()),
    }
}
