//! Requests that try tasks again, carried out once more under their `Idempotency-Key`.

use halyard_domain::TaskId;
use halyard_store::{
    Now, PgConnection, Result,
    tasks::{self, Retried},
};

/// What such a request made before it died, without its answer being kept: that is the answer. What it found besides, and left
/// alone, nobody knows any more.
pub struct Made {
    /// The tasks that were tried again.
    pub of: Vec<TaskId>,
    /// Where to go on: below the oldest of them.
    pub next: Option<TaskId>,
    /// What became of each.
    pub done: Vec<(TaskId, Retried)>,
}

/// What was made under these ids; `None` if nothing was, or if the request is not `repeated`.
pub async fn made(conn: &mut PgConnection, repeated: bool, ids: &[TaskId], now: Now) -> Result<Option<Made>> {
    let made = if repeated { tasks::made_again(conn, ids, now).await? } else { Vec::new() };
    let of: Vec<_> = made.iter().map(|new| new.of).collect();
    let done = made.into_iter().map(|new| (new.of, Retried::Accepted(new))).collect();
    Ok((!of.is_empty()).then(|| Made { next: of.iter().min().copied(), of, done }))
}

/// Is one of the tasks tried again by another already? That may be the same request, whose first statement was still under way.
pub fn lost(done: &[(TaskId, Retried)]) -> bool {
    done.iter().any(|(_, outcome)| matches!(outcome, Retried::Before(_)))
}
