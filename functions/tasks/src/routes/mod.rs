//! One endpoint a file.

pub mod batch;
pub mod bulk;
pub mod cancel;
pub mod chain;
pub mod dead;
pub mod drain;
mod lane;
pub mod list;
pub mod logs;
pub mod pause;
pub mod queues;
mod repeated;
pub mod result;
pub mod resume;
pub mod retry;
pub mod schedules;
pub mod stats;
pub mod status;
pub mod submit;
pub mod types;
pub mod webhooks;
pub mod workflows;

use std::{collections::BTreeMap, time::Duration};

use halyard_domain::{Lane, task::MAX_SEND_DELAY};
use halyard_jobs::doorbell::{self, TraceIds};
use halyard_store::{Connection, StoreError};

use crate::state::AppState;

/// The longest that the database may take over one request.
const DATABASE: Duration = Duration::from_secs(5);
/// How long the queue may take for many doorbells; beat repairs what it does not take in time.
const MANY_BELLS: Duration = Duration::from_secs(2);
/// So many moments are rung for at once; the outbox has the rest, and beat rings for them.
const TIMES: usize = 200;

/// Calls the database, within [`DATABASE`].
pub async fn database<T>(
    state: &AppState,
    call: impl AsyncFnOnce(&mut Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    halyard_store::within(DATABASE, async {
        let mut conn = state.pool.acquire().await?;
        call(&mut conn).await
    })
    .await
}

/// Rings for new tasks that are due soon enough for a delayed message: those due at the same time share doorbells. Of more than
/// [`TIMES`] times the later ones are left to beat.
pub async fn ring_for(state: &AppState, new: impl Iterator<Item = (Lane, chrono::Duration)>, ids: &TraceIds) {
    let mut due = BTreeMap::<(Duration, Lane), usize>::new();
    for (lane, delay) in new.filter(|(_, delay)| *delay <= MAX_SEND_DELAY) {
        *due.entry((delay.to_std().unwrap_or_default(), lane)).or_default() += 1;
    }
    let mut bells = BTreeMap::<Lane, Vec<_>>::new();
    for ((delay, lane), count) in due.into_iter().take(TIMES) {
        bells.entry(lane).or_default().extend(doorbell::messages(lane, delay, count, ids));
    }
    for (lane, messages) in bells {
        let rung = doorbell::ring_all(&*state.queue, &state.queues, lane, &messages, MANY_BELLS).await;
        if let Err(error) = rung {
            tracing::warn!(%error, %lane, "doorbells were not taken; beat will ring");
        }
    }
}

/// How long the queue may take; beat repairs what it does not take in time.
const QUEUE: Duration = Duration::from_secs(1);

/// Rings for webhooks if any are due, after something that may have owed some. What cannot be found out, beat finds out.
async fn ring_for_webhooks(state: &AppState) {
    let now = state.clock.database_override();
    match database(state, async |conn| halyard_store::webhooks::overdue(conn, 1, now).await).await {
        Ok(0) => {}
        Ok(_) => state.callbacks.ring_or_leave(Duration::ZERO, QUEUE).await,
        Err(error) => tracing::warn!(%error, "it is not known whether webhooks are due; beat will ring"),
    }
}
