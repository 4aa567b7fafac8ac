//! Redis: fast and losable. Rate limits, live counters and the session cache; a flush loses nothing but warmth.
//!
//! One [`Redis`] is one multiplexed connection of one execution environment; in a cluster, one to each server that it
//! needs. It is opened at the first call and again
//! whenever it turns out to be dead, which a frozen environment can only notice when it is used: a call that fails on
//! a connection that was open before opens a new one and tries once more.

mod cluster;
mod connection;
pub mod guesses;
pub mod info;
pub mod limits;
pub mod metrics;
mod node;
mod script;
pub mod session_cache;

pub use connection::Redis;
pub use guesses::{Charged, End, Guesses, SignIn};
pub use info::RedisInfo;
pub use limits::{Check, Decision, Limits, Visit};
pub use metrics::{MinuteCounts, Outcome};
pub use session_cache::{Cached, CachedSession, Hit, SessionCache};

/// Why Redis could not do as asked. Whatever the reason, the caller goes on without: Redis holds nothing that is not
/// also elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisError {
    /// The URL cannot be read (checked when the handle is made, never later).
    #[error("the Redis URL is not valid: {0}")]
    Url(String),
    /// No answer within the time limit, no connection, or a server that says that it cannot now.
    #[error("Redis is unavailable: {0}")]
    Unavailable(String),
    /// An answer that makes no sense: a wrong type under a key, a script that fails.
    #[error("Redis gave an unexpected answer: {0}")]
    Unexpected(String),
}

impl From<redis::RedisError> for RedisError {
    fn from(error: redis::RedisError) -> Self {
        match error.kind() {
            redis::ErrorKind::UnexpectedReturnType
            | redis::ErrorKind::Client
            | redis::ErrorKind::Extension
            | redis::ErrorKind::Server(redis::ServerErrorKind::ResponseError | redis::ServerErrorKind::ExecAbort) => {
                Self::Unexpected(error.to_string())
            }
            redis::ErrorKind::InvalidClientConfig => Self::Url(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
