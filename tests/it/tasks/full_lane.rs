//! Claims of a lane that has more than can be taken begin where the last one got to.

use std::{sync::Arc, time::Duration};

use halyard_domain::{Lane, ManualClock, TaskId, task::TaskState};
use halyard_jobs::{
    Registry,
    worker::{Heard, LaneLimit, Outcome, Worker},
};
use halyard_store::tasks;
use tokio::time::Instant;

use super::worker;
use crate::store::scratch::{Scratch, t0};

const LIMIT: LaneLimit = LaneLimit { side_by_side: 25, margin: Duration::from_secs(3) };

/// Hears of 25 tasks: how many it took.
async fn batch(worker: &Worker) -> usize {
    let heard = Heard { messages: 1, count: 25 };
    let outcome = worker.run_batch(Lane::Default, heard, Instant::now() + Duration::from_secs(30)).await;
    let outcome = outcome.expect("a decision");
    assert_eq!(outcome, Outcome { claimed: outcome.claimed, committed: outcome.claimed, ..Outcome::default() });
    outcome.claimed
}

async fn state(db: &Scratch, id: TaskId) -> TaskState {
    let conn = &mut *db.pool.acquire().await.expect("a connection");
    tasks::get(conn, id, None).await.expect("an answer").expect("the task").state
}

#[tokio::test]
async fn what_is_more_urgent_than_a_backlog_is_seen_within_a_quarter_of_a_second() {
    let db = Scratch::new().await;
    let clock = Arc::new(ManualClock::new(t0()));
    let (worker, _) = worker::of(db.pool.clone(), clock.clone(), Lane::Default, Registry::standard(), LIMIT);
    for _ in 0..130 {
        db.submit(1, 5, t0()).await;
    }
    assert_eq!(batch(&worker).await, 25);
    let urgent = db.submit(1, 4, t0()).await;
    let others = db.submit(2, 6, t0()).await;
    assert_eq!(batch(&worker).await, 25);
    assert_eq!(state(&db, urgent).await, TaskState::Queued, "it came in front of what was claimed");
    assert_eq!(state(&db, others).await, TaskState::Completed, "the front is each user's own");
    clock.advance(chrono::Duration::milliseconds(250));
    assert_eq!(batch(&worker).await, 25);
    assert_eq!(state(&db, urgent).await, TaskState::Queued);
    clock.advance(chrono::Duration::milliseconds(1));
    assert_eq!(batch(&worker).await, 25);
    assert_eq!(state(&db, urgent).await, TaskState::Completed, "the next claim looked at all");
    db.done().await;
}

#[tokio::test]
async fn a_claim_that_does_not_get_what_it_asked_for_looks_at_all_that_waits() {
    let db = Scratch::new().await;
    let clock = Arc::new(ManualClock::new(t0()));
    let (worker, _) = worker::of(db.pool.clone(), clock, Lane::Default, Registry::standard(), LIMIT);
    for _ in 0..35 {
        db.submit(1, 5, t0()).await;
    }
    assert_eq!(batch(&worker).await, 25);
    for _ in 0..3 {
        db.submit(1, 4, t0()).await;
    }
    assert_eq!(batch(&worker).await, 13, "those behind the front, and those before");
    for _ in 0..26 {
        db.submit(1, 4, t0()).await;
    }
    assert_eq!(batch(&worker).await, 25, "and nothing is known of the lane any more");
    assert_eq!(batch(&worker).await, 1);
    assert_eq!(db.count("select count(*) from tasks where state = 'completed' and attempt = 1").await, 64);
    db.done().await;
}
