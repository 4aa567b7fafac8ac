//! Invocations of one environment at a time share their statements.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use halyard_domain::{Lane, ManualClock};
use halyard_jobs::{
    Registry,
    worker::{Heard, LaneLimit, Outcome, Worker},
};
use halyard_store::Pool;
use tokio::time::Instant;

use super::worker;
use crate::store::scratch::{Scratch, t0};

const LIMIT: LaneLimit = LaneLimit { side_by_side: 5, margin: Duration::from_secs(3) };
const FIVE: Heard = Heard { messages: 5, count: 5 };

/// A worker with one connection, and tasks of these priorities.
async fn house(priorities: &[i16]) -> (Scratch, Pool, Worker) {
    let db = Scratch::new().await;
    for priority in priorities {
        db.submit(1, *priority, t0()).await;
    }
    let pool = halyard_store::connect(&db.url, 1).expect("a pool");
    let clock = Arc::new(ManualClock::new(t0()));
    let (worker, _) = worker::of(pool.clone(), clock, Lane::Default, Registry::standard(), LIMIT);
    (db, pool, worker)
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Invocations for these lanes, of which none gets the connection before all have come to it.
async fn at_once(pool: &Pool, worker: &Worker, lanes: &[Lane]) -> Vec<Outcome> {
    let taken = pool.acquire().await.expect("a connection");
    let invocations = join_all(lanes.iter().map(|lane| worker.run_batch(*lane, FIVE, deadline())));
    let release = async {
        tokio::task::yield_now().await;
        drop(taken);
    };
    let (outcomes, ()) = futures::join!(invocations, release);
    outcomes.into_iter().map(|outcome| outcome.expect("a decision")).collect()
}

fn of(claimed: usize) -> Outcome {
    Outcome { claimed, committed: claimed, ..Outcome::default() }
}

#[tokio::test]
async fn invocations_that_wait_for_the_connection_share_statements_and_each_gets_its_own_tasks() {
    let (db, pool, worker) = house(&[5; 18]).await;
    let outcomes = at_once(&pool, &worker, &[Lane::Default; 4]).await;
    assert_eq!(outcomes, [of(5), of(5), of(5), of(3)], "who has waited longest is served first");
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
    let (db, pool, worker) = house(&[5; 10]).await;
    let taken = pool.acquire().await.expect("a connection");
    {
        let given_up = std::pin::pin!(worker.run_batch(Lane::Default, FIVE, deadline()));
        assert!(futures::poll!(given_up).is_pending());
    }
    drop(taken);
    assert_eq!(worker.run_batch(Lane::Default, FIVE, deadline()).await.expect("a decision"), of(5));
    assert_eq!(db.count("select count(*) from tasks where state = 'queued'").await, 5);
    db.done().await;
}

#[tokio::test]
async fn lanes_are_claimed_apart() {
    let (db, pool, worker) = house(&[1, 5, 10, 1, 5, 10]).await;
    assert_eq!(at_once(&pool, &worker, &[Lane::High, Lane::Default, Lane::Low]).await, [of(2); 3]);
    db.done().await;
}
