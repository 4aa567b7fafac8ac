//! Long tasks in slices: a worker of the test's own, with a type that counts from checkpoint to checkpoint.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use halyard_cloud::queue::{QueueName, QueueTwin};
use halyard_domain::{Lane, ManualClock, TaskId, task::TaskState};
use halyard_jobs::{
    Registry, Task, TaskContext, TaskFailure,
    worker::{Heard, LaneLimit, Worker},
};
use halyard_store::tasks;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::worker::{self, QUEUE};
use crate::store::scratch::{Scratch, s, t0};

/// Counts to `to`; each step is saved once it is asked to stop. Remembers how many steps it did in all.
struct Counting(Arc<AtomicU64>);

impl Task for Counting {
    const TYPE: &'static str = "counting";
    const DESCRIPTION: &'static str = "Counts.";
    const LONG: bool = true;
    type Input = Map<String, Value>;
    type Output = u64;

    async fn run(&self, input: Self::Input, context: TaskContext) -> Result<u64, TaskFailure> {
        let to = input["to"].as_u64().unwrap_or(0);
        let mut at: u64 = context.resume_from().unwrap_or(0);
        while at < to {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
                () = context.cancelled() => {
                    // Coming to a point from which the next can go on takes longer than a moment.
                    tokio::time::sleep(Duration::from_millis(400)).await;
                    context.checkpoint(&at).map_err(|error| TaskFailure::permanent("bug", error.to_string()))?;
                    return Err(TaskFailure::cancelled());
                }
            }
            at += 1;
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Ok(at)
    }
}

struct House {
    db: Scratch,
    worker: Worker,
    clock: Arc<ManualClock>,
    queue: QueueTwin,
    steps: Arc<AtomicU64>,
}

const ONE: Heard = Heard { messages: 1, count: 1 };

async fn house() -> House {
    let db = Scratch::new().await;
    let clock = Arc::new(ManualClock::new(t0()));
    let steps = Arc::new(AtomicU64::new(0));
    let types = Registry::standard().with(Counting(Arc::clone(&steps)));
    let limit = LaneLimit { side_by_side: 1, margin: Duration::from_secs(3) };
    let (worker, queue) = worker::of(db.pool.clone(), clock.clone(), Lane::Long, types, limit);
    House { db, worker, clock, queue, steps }
}

impl House {
    async fn submit(&self, to: u64, timeout_s: i32) -> TaskId {
        let mut task = self.db.task(1, 5, t0());
        Counting::TYPE.clone_into(&mut task.task_type);
        task.lane = Lane::Long;
        task.input = serde_json::value::to_raw_value(&json!({ "to": to })).expect("an object");
        task.timeout_s = timeout_s;
        task.retry.max_retries = 0;
        tasks::submit(&mut self.db.pool.acquire().await.expect("a connection"), &task, Some(t0()))
            .await
            .expect("accepted");
        task.id
    }

    /// One invocation whose attempts have about 1.2 s before they are asked to stop.
    async fn invocation(&self) {
        let deadline = Instant::now() + Duration::from_millis(4_200);
        self.worker.run_batch(Lane::Long, ONE, deadline).await.expect("a decision");
    }

    async fn task(&self, id: TaskId) -> tasks::TaskRecord {
        let conn = &mut *self.db.pool.acquire().await.expect("a connection");
        tasks::get(conn, id, None).await.expect("an answer").expect("the task")
    }
}

#[tokio::test]
async fn a_task_longer_than_an_invocation_goes_on_in_the_next_from_its_checkpoint() {
    let house = house().await;
    let id = house.submit(150, 3_600).await;
    house.invocation().await;
    let task = house.task(id).await;
    assert_eq!((task.state, task.attempt, task.failures, task.lost_leases), (TaskState::Queued, 1, 0, 0));
    assert!(task.error.is_none());
    let heard = halyard_cloud::queue::Queue::depth(&house.queue, &QueueName(QUEUE.to_owned())).await.expect("a depth");
    assert_eq!(heard.visible, 1, "the next slice has its doorbell");
    let counted = house.steps.load(Ordering::SeqCst);
    assert!(counted > 10, "it got somewhere: {counted}");
    house.invocation().await;
    let task = house.task(id).await;
    assert_eq!((task.state, task.attempt, task.failures), (TaskState::Completed, 2, 0));
    assert_eq!(house.steps.load(Ordering::SeqCst), 150, "nothing was done twice");
    let events =
        tasks::events(&mut house.db.pool.acquire().await.expect("a connection"), id).await.expect("its history");
    let states: Vec<_> = events.iter().map(|event| event.state).collect();
    assert_eq!(
        states,
        [TaskState::Queued, TaskState::Running, TaskState::Queued, TaskState::Running, TaskState::Completed]
    );
    assert_eq!(events[2].message, "Attempt 1 handed over: its invocation ended");
    house.db.done().await;
}

#[tokio::test]
async fn the_time_limit_of_a_long_task_covers_all_of_its_slices() {
    let house = house().await;
    let id = house.submit(1_000_000, 3_600).await;
    let slice = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        house.clock.advance(s(1_800));
    };
    tokio::join!(house.invocation(), slice);
    assert_eq!(house.task(id).await.state, TaskState::Queued);
    let slice = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        house.clock.advance(s(1_801));
    };
    tokio::join!(house.invocation(), slice);
    assert_eq!(house.task(id).await.state, TaskState::Queued, "the slice began within the limit");
    house.invocation().await;
    let task = house.task(id).await;
    assert_eq!((task.state, task.failures), (TaskState::Failed, 1));
    assert!(task.error.is_some_and(|error| error.starts_with("timed_out")));
    house.db.done().await;
}

#[tokio::test]
async fn an_invocation_without_time_counts_as_a_lost_lease() {
    let house = house().await;
    let id = house.submit(150, 3_600).await;
    let deadline = Instant::now() + Duration::from_millis(3_100);
    house.worker.run_batch(Lane::Long, ONE, deadline).await.expect("a decision");
    let task = house.task(id).await;
    assert_eq!((task.state, task.lost_leases), (TaskState::Retrying, 1));
    house.db.done().await;
}
