//! Changes of the caller's own session, against those that others make of it at the same time.

use chrono::{DateTime, Utc};
use halyard_cloud::sessions::SessionError;
use halyard_domain::{SessionId, UserId, session::Session};

use crate::{epochs, error::AuthError, state::AppState};

/// How often a session that is refreshed meanwhile is read anew.
const ATTEMPTS: usize = 4;

/// Replaces a session by what `change` makes of it, read anew whenever somebody else was faster. `None` when it is gone, or
/// `change` leaves it as it is.
pub async fn apply(
    state: &AppState,
    user: UserId,
    session: SessionId,
    change: impl Fn(&Session, DateTime<Utc>) -> Option<Session> + Send + Sync,
) -> Result<Option<Session>, AuthError> {
    for _ in 0..ATTEMPTS {
        let now = state.clock.now();
        let Some(stored) = state.sessions.get(user, session, now).await? else { return Ok(None) };
        let Some(next) = change(&stored.record, now) else { return Ok(None) };
        match state.sessions.rotate(&stored, next, now).await {
            Err(SessionError::Conflict) => {}
            other => return Ok(Some(other?.record)),
        }
    }
    Err(AuthError::Contended)
}

/// Lifts a session over an epoch that was raised to end the others, then publishes the epoch: in this order there is no
/// moment in which the session that stays counts as ended. Should it fail, beat publishes the epoch and this session ends as
/// well.
pub async fn end_others(
    state: &AppState,
    user: UserId,
    session: SessionId,
    epoch: i64,
    change: impl Fn(&mut Session, DateTime<Utc>) + Send + Sync,
) -> Result<(), AuthError> {
    apply(state, user, session, |before, now| {
        // Ended by a logout, or by a raise that was not ours: it stays so.
        let stays = before.is_live(now, epoch - 1) && before.auth_epoch < epoch;
        stays.then(|| {
            let mut lifted = Session { auth_epoch: epoch, ..before.clone() };
            change(&mut lifted, now);
            lifted
        })
    })
    .await?;
    epochs::publish(state, user, epoch).await
}
