//! Results that are too large for a row: a worker of the test's own, with a type that answers as much as it is asked for.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use halyard_cloud::objects::{BucketName, ObjectError, ObjectTwin, Objects};
use halyard_domain::{
    Entropy, Lane, ManualClock, TaskId, UserId, WorkflowId,
    task::{MAX_LOST_LEASES, TaskState},
    workflow::{Edge, FailureStrategy, Mode, WorkflowKind},
};
use halyard_jobs::{
    Registry, Task, TaskContext, TaskFailure,
    worker::{Heard, LaneLimit, MAX_RESULT, MAX_STORED_RESULT, Worker},
};
use halyard_store::{
    tasks::{self, Room, Step},
    workflows::{self, NewWorkflow},
};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::worker;
use crate::store::scratch::{Scratch, s, t0};

const ONE: Heard = Heard { messages: 1, count: 1 };

/// Answers a text of `bytes` bytes.
struct Long;

impl Task for Long {
    const TYPE: &'static str = "long_answer";
    const DESCRIPTION: &'static str = "Answers much.";
    type Input = Map<String, Value>;
    type Output = String;

    async fn run(&self, input: Self::Input, _: TaskContext) -> Result<String, TaskFailure> {
        let bytes = input["bytes"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
        Ok("x".repeat(bytes - 2))
    }
}

/// A bucket whose next puts fail like this.
#[derive(Debug)]
struct Fragile {
    twin: ObjectTwin,
    faults: Mutex<Vec<ObjectError>>,
}

#[async_trait]
impl Objects for Fragile {
    async fn put(&self, bucket: &BucketName, key: &str, body: Bytes, media_type: &str) -> Result<(), ObjectError> {
        let fault = self.faults.lock().expect("no test panicked").pop();
        if let Some(fault) = fault {
            return Err(fault);
        }
        self.twin.put(bucket, key, body, media_type).await
    }

    async fn get(&self, bucket: &BucketName, key: &str) -> Result<Option<Bytes>, ObjectError> {
        self.twin.get(bucket, key).await
    }

    async fn link(
        &self,
        bucket: &BucketName,
        key: &str,
        valid: Duration,
        now: SystemTime,
    ) -> Result<String, ObjectError> {
        self.twin.link(bucket, key, valid, now).await
    }
}

struct House {
    db: Scratch,
    worker: Worker,
    clock: Arc<ManualClock>,
    bucket: Arc<Fragile>,
}

impl House {
    async fn new() -> Self {
        let db = Scratch::new().await;
        let clock = Arc::new(ManualClock::new(t0()));
        let limit = LaneLimit { side_by_side: 1, margin: Duration::from_secs(3) };
        let types = Registry::standard().with(Long);
        let (mut worker, _) = worker::of(db.pool.clone(), clock.clone(), Lane::Default, types, limit);
        let entropy = Arc::new(Entropy::seeded(4));
        let twin = ObjectTwin::in_memory(clock.clone(), entropy, [(worker.results.bucket.clone(), None)]);
        let bucket = Arc::new(Fragile { twin, faults: Mutex::default() });
        worker.results.objects = bucket.clone();
        Self { db, worker, clock, bucket }
    }

    fn long(&self, bytes: usize) -> tasks::NewTask {
        let mut task = self.db.task(1, 5, t0());
        Long::TYPE.clone_into(&mut task.task_type);
        task.input = serde_json::value::to_raw_value(&json!({ "bytes": bytes })).expect("an object");
        task
    }

    async fn submit(&self, bytes: usize) -> TaskId {
        let task = self.long(bytes);
        let conn = &mut *self.db.pool.acquire().await.expect("a connection");
        tasks::submit(conn, &task, Some(t0())).await.expect("accepted");
        task.id
    }

    async fn invocation(&self) {
        let deadline = Instant::now() + Duration::from_mins(1);
        self.worker.run_batch(Lane::Default, ONE, deadline).await.expect("a decision");
    }

    async fn task(&self, id: TaskId) -> tasks::TaskRecord {
        let conn = &mut *self.db.pool.acquire().await.expect("a connection");
        tasks::get(conn, id, None).await.expect("an answer").expect("the task")
    }

    fn fail(&self, times: i16, fault: &ObjectError) {
        let times = usize::try_from(times).expect("a number of faults");
        self.bucket.faults.lock().expect("no test panicked").extend(vec![fault.clone(); times]);
    }

    async fn stored(&self, key: &str) -> Option<Bytes> {
        self.bucket.get(&self.worker.results.bucket, key).await.expect("an answer")
    }
}

#[tokio::test]
async fn a_result_that_no_row_has_room_for_is_stored_and_the_row_says_where() {
    let house = House::new().await;
    let id = house.submit(MAX_RESULT + 1).await;
    house.invocation().await;
    let task = house.task(id).await;
    assert_eq!((task.state, task.error), (TaskState::Completed, None));
    assert!(task.result.is_none());
    let key = task.result_key.expect("where it is");
    assert_eq!(key, format!("results/{id}/1.json"));
    let body = house.stored(&key).await.expect("the object");
    assert_eq!(body.len(), MAX_RESULT + 1);
    assert_eq!((body[0], body[1], body[MAX_RESULT]), (b'"', b'x', b'"'));
    house.db.done().await;
}

#[tokio::test]
async fn the_largest_result_of_a_row_stays_in_it_and_more_than_the_bucket_takes_fails() {
    let house = House::new().await;
    // Its quotes take two bytes each in an answer.
    let (fits, too_much) = (house.submit(MAX_RESULT - 2).await, house.submit(MAX_STORED_RESULT + 1).await);
    house.invocation().await;
    house.invocation().await;
    let task = house.task(fits).await;
    assert_eq!((task.state, task.result_key), (TaskState::Completed, None));
    assert_eq!(task.result.expect("a result").get().len(), MAX_RESULT - 2);
    let task = house.task(too_much).await;
    assert_eq!((task.state, task.result_key), (TaskState::Failed, None));
    let why = task.error.expect("why");
    assert_eq!(why, format!("result_too_large: {} bytes of at most {MAX_STORED_RESULT}", MAX_STORED_RESULT + 1));
    house.db.done().await;
}

#[tokio::test]
async fn a_result_that_cannot_be_stored_is_made_again_and_its_task_ends_dead_if_it_never_can() {
    let house = House::new().await;
    house.fail(MAX_LOST_LEASES, &ObjectError::Refused("by the test".to_owned()));
    let id = house.submit(MAX_RESULT + 1).await;
    for lost in 1..=MAX_LOST_LEASES {
        house.invocation().await;
        let task = house.task(id).await;
        assert_eq!((task.lost_leases, task.failures), (lost, 0));
        assert_eq!(task.result_key, None, "what was noted does not count: {:?}", task.state);
        house.clock.advance(s(300));
    }
    let task = house.task(id).await;
    assert_eq!(task.state, TaskState::Dead);
    assert!(task.error.expect("why").starts_with("result_not_stored: "));
    house.db.done().await;
}

#[tokio::test]
async fn a_store_that_is_away_for_a_moment_costs_no_attempt() {
    let house = House::new().await;
    house.fail(2, &ObjectError::Unavailable("by the test".to_owned()));
    let id = house.submit(MAX_RESULT + 1).await;
    house.invocation().await;
    let task = house.task(id).await;
    assert_eq!((task.state, task.attempt, task.lost_leases), (TaskState::Completed, 1, 0));
    assert!(house.stored(&task.result_key.expect("where it is")).await.is_some());
    house.db.done().await;
}

#[tokio::test]
async fn an_attempt_that_has_lost_its_task_notes_nothing() {
    let house = House::new().await;
    let id = house.submit(10).await;
    let first = house.db.claim(Lane::Default, 1, t0()).await.pop().expect("claimed");
    let mut conn = house.db.pool.acquire().await.expect("a connection");
    let stale = tasks::note_stored(&mut conn, id, first.fence - 1, "results/stale.json").await.expect("an answer");
    assert_eq!(stale, Room::Fenced);
    assert_eq!(
        tasks::note_stored(&mut conn, id, first.fence, "results/mine.json").await.expect("an answer"),
        Room::Noted
    );
    drop(conn);
    // It counts once the task has completed, not before.
    assert_eq!(house.task(id).await.result_key, None);
    house.db.done().await;
}

#[tokio::test]
async fn a_step_whose_result_a_later_one_takes_fails_when_no_row_has_room_for_it() {
    let house = House::new().await;
    let id = WorkflowId(house.db.entropy.ulid(t0()));
    let steps: Vec<tasks::NewTask> = (0..2)
        .map(|number| {
            let mut task = house.long(MAX_RESULT + 1);
            let waits_for = number;
            task.ties.step = Some(Step { workflow: id, number, waits_for, takes: number == 1, name: None });
            task
        })
        .collect();
    let workflow = NewWorkflow {
        id,
        user_id: UserId(1),
        kind: WorkflowKind::Chain,
        mode: Mode::Graph,
        failure_strategy: FailureStrategy::StopOnError,
        name: "much, then more".to_owned(),
        callbacks: None,
        edges: vec![Edge { before: 0, after: 1, needs_success: true, gives: true }],
        request_id: None,
        traceparent: None,
    };
    let mut conn = house.db.pool.acquire().await.expect("a connection");
    workflows::create(&mut conn, &workflow, &steps, Some(t0())).await.expect("accepted");
    drop(conn);
    house.invocation().await;
    let first = house.task(steps[0].id).await;
    assert_eq!((first.state, first.result_key), (TaskState::Failed, None));
    let why = first.error.expect("why");
    assert!(why.ends_with("where a later step takes the result"), "{why}");
    assert_eq!(house.task(steps[1].id).await.state, TaskState::Cancelled);
    house.db.done().await;
}
