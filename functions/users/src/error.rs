//! What can go wrong here, and which problem it is.

use halyard_auth::AuthnFailure;
use halyard_cloud::sessions::SessionError;
use halyard_domain::rights::Refused;
use halyard_http::Problem;
use halyard_store::StoreError;
use http::StatusCode;

/// Seconds after which a caller may try again what a dependency refused.
const RETRY_AFTER: u32 = 2;

/// An error of this area.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The account was changed; that its sessions have ended is not out yet.
    #[error("the sessions were not told of the change: {0}")]
    SessionsOwed(#[from] SessionError),
    /// No such account.
    #[error("there is no such user")]
    NotFound,
    /// The caller's account may not be used any more.
    #[error("the caller's account is disabled")]
    CallerGone,
    /// The caller may not make this change.
    #[error("the change is refused: {0:?}")]
    Refused(Refused),
    /// No active administrator would be left.
    #[error("no active administrator would be left")]
    LastAdmin,
    /// `If-Match` names another version.
    #[error("the account was changed meanwhile")]
    VersionMismatch,
    /// Others kept changing the same accounts.
    #[error("too many changes at once")]
    Contended,
}

impl From<UsersError> for Problem {
    fn from(error: UsersError) -> Self {
        match error {
            UsersError::Store(StoreError::Unavailable(source)) => {
                Self::unavailable("the database is unavailable", RETRY_AFTER).with_source(source.to_string())
            }
            // Nothing here can meet a constraint that speaks of names, addresses or tasks.
            UsersError::Store(error @ (StoreError::Internal(_) | StoreError::Conflict(_))) => Self::internal(&error),
            UsersError::SessionsOwed(error) => {
                let detail =
                    "the account was changed; its sessions end within two minutes of the session store's return";
                Self::unavailable(detail, RETRY_AFTER).with_source(error.to_string())
            }
            UsersError::NotFound => Self::not_found("there is no such user"),
            UsersError::CallerGone => Self::unauthorized(AuthnFailure::Revoked),
            UsersError::Refused(refused) => refusal(refused),
            UsersError::LastAdmin => Self::conflict(
                "last_admin",
                "the last active administrator can neither be disabled nor given another role",
            ),
            UsersError::VersionMismatch => Self::precondition_failed("the account was changed since it was read"),
            UsersError::Contended => Self::unavailable("the same thing was changed at the same time; try again", 1),
        }
    }
}

fn refusal(refused: Refused) -> Problem {
    let (code, detail) = match refused {
        Refused::NotPermitted => ("forbidden", "this needs the permission users:write"),
        Refused::OwnAccount => ("own_account", "nobody changes the rights of their own account"),
        Refused::HoldsMore => ("exceeds_own_rights", "the account holds permissions that you do not hold"),
        Refused::GrantsMore => ("exceeds_own_rights", "nobody grants permissions that they do not hold"),
    };
    Problem::new(StatusCode::FORBIDDEN, code, detail)
}
