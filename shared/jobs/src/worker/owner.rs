//! Whether a task's owner may still have it run: a schedule outlives the rights of whoever made it.

use halyard_domain::{UserId, authz::Permission, task::AttemptEnd};
use halyard_store::{users, within};

use super::{DATABASE, Ended, Worker, decision::Refusal};
use crate::task::TaskFailure;

/// Asks for the owner's rights as they are now.
///
/// # Errors
/// How the attempt ends if they do not suffice, or cannot be read.
pub async fn permitted(worker: &Worker, owner: UserId, permission: Permission) -> Result<(), Ended> {
    let found = within(DATABASE, async {
        let mut conn = worker.pool.acquire().await?;
        users::by_ids(&mut conn, &[owner]).await
    });
    let found = found.await.map_err(|error| {
        Ended::Answered(Err(TaskFailure::retryable("database", format!("the owner's rights are not known: {error}"))))
    })?;
    let held = found.first().and_then(users::User::as_owner).is_some_and(|owner| owner.permissions.allow(permission));
    if held {
        return Ok(());
    }
    let why = format!("forbidden: its owner no longer has the permission {}", permission.as_str());
    Err(Ended::Refused(Refusal { end: AttemptEnd::FailedForGood, why }))
}
