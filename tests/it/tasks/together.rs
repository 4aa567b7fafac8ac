//! Invocations of one environment at a time share their statements.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use halyard_domain::{Lane, ManualClock};
use halyard_jobs::{
    Registry,
    worker::{Heard, LaneLimit, Outcome},
};
use tokio::time::Instant;

use super::worker;
use crate::store::scratch::{Scratch, t0};

const LIMIT: LaneLimit = LaneLimit { side_by_side: 5, margin: Duration::from_secs(3) };
const FIVE: Heard = Heard { messages: 5, count: 5 };

#[tokio::test]
async fn invocations_that_wait_for_the_connection_share_statements_and_each_gets_its_own_tasks() {
    let db = Scratch::new().await;
    let pool = halyard_store::connect(&db.url, 1).expect("a pool");
    let (worker, _) =
        worker::of(pool.clone(), Arc::new(ManualClock::new(t0())), Lane::Default, Registry::standard(), LIMIT);
    for _ in 0..18 {
        db.submit(1, 5, t0()).await;
    }
    // The only connection is taken until all have come to it.
    let taken = pool.acquire().await.expect("a connection");
    let deadline = Instant::now() + Duration::from_secs(30);
    let invocations = join_all((0..4).map(|_| worker.run_batch(Lane::Default, FIVE, deadline)));
    let release = async {
        tokio::task::yield_now().await;
        drop(taken);
    };
    let (outcomes, ()) = futures::join!(invocations, release);
    let claimed: Vec<_> = outcomes.into_iter().map(|outcome| outcome.expect("a decision")).collect();
    let of = |n| Outcome { claimed: n, committed: n, ..Outcome::default() };
    assert_eq!(claimed, [of(5), of(5), of(5), of(3)], "who has waited longest is served first");
    assert_eq!(db.count("select count(*) from tasks where state = 'completed' and attempt = 1").await, 18);
    // The rows of a statement carry its transaction's number.
    let statements = "select count(distinct xmin::text) from task_events where state = 'running'";
    assert_eq!(db.count(statements).await, 1, "one claim for all");
    let statements = "select count(distinct xmin::text) from task_events where state = 'completed'";
    assert!(db.count(statements).await < 4, "fewer than invocations");
    db.done().await;
}

#[tokio::test]
async fn an_invocation_that_is_given_up_while_it_waits_claims_nothing() {
    let db = Scratch::new().await;
    let pool = halyard_store::connect(&db.url, 1).expect("a pool");
    let (worker, _) =
        worker::of(pool.clone(), Arc::new(ManualClock::new(t0())), Lane::Default, Registry::standard(), LIMIT);
    for _ in 0..10 {
        db.submit(1, 5, t0()).await;
    }
    let taken = pool.acquire().await.expect("a connection");
    let deadline = Instant::now() + Duration::from_secs(30);
    {
        let given_up = std::pin::pin!(worker.run_batch(Lane::Default, FIVE, deadline));
        assert!(futures::poll!(given_up).is_pending());
    }
    drop(taken);
    let outcome = worker.run_batch(Lane::Default, FIVE, deadline).await.expect("a decision");
    assert_eq!((outcome.claimed, outcome.committed), (5, 5));
    assert_eq!(db.count("select count(*) from tasks where state = 'queued'").await, 5);
    db.done().await;
}

#[tokio::test]
async fn lanes_are_claimed_apart() {
    let db = Scratch::new().await;
    let pool = halyard_store::connect(&db.url, 1).expect("a pool");
    let (worker, _) =
        worker::of(pool.clone(), Arc::new(ManualClock::new(t0())), Lane::Default, Registry::standard(), LIMIT);
    for priority in [1, 5, 10, 1, 5, 10] {
        db.submit(1, priority, t0()).await;
    }
    let taken = pool.acquire().await.expect("a connection");
    let deadline = Instant::now() + Duration::from_secs(30);
    let lanes = [Lane::High, Lane::Default, Lane::Low];
    let invocations = join_all(lanes.map(|lane| worker.run_batch(lane, FIVE, deadline)));
    let release = async {
        tokio::task::yield_now().await;
        drop(taken);
    };
    let (outcomes, ()) = futures::join!(invocations, release);
    assert!(outcomes.into_iter().all(|outcome| outcome.is_ok_and(|o| (o.claimed, o.committed) == (2, 2))));
    db.done().await;
}
