//! What an attempt saves is there for the next one, whatever becomes of the statement that carries it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use halyard_domain::{Lane, ManualClock, task::TaskState};
use halyard_jobs::{
    Registry, Task, TaskContext, TaskFailure,
    worker::{Heard, LaneLimit},
};
use halyard_store::tasks;
use halyard_tests::wait::until;
use serde_json::{Map, Value};
use tokio::{sync::Semaphore, time::Instant};

use super::worker;
use crate::store::scratch::{Scratch, t0};

const PATIENCE: Duration = Duration::from_secs(10);

/// Saves a checkpoint, and fails when it is told to.
struct Saving {
    told: Arc<Semaphore>,
    ended: Arc<AtomicBool>,
}

impl Task for Saving {
    const TYPE: &'static str = "saving";
    const DESCRIPTION: &'static str = "Saves and fails.";
    type Input = Map<String, Value>;
    type Output = ();

    async fn run(&self, _: Self::Input, context: TaskContext) -> Result<(), TaskFailure> {
        context.checkpoint(&7).map_err(|error| TaskFailure::permanent("bug", error.to_string()))?;
        self.told.acquire().await.expect("a semaphore that nobody closes").forget();
        self.ended.store(true, Ordering::SeqCst);
        Err(TaskFailure::retryable("told_to", "fail"))
    }
}

#[tokio::test]
async fn a_checkpoint_whose_renewal_failed_goes_with_the_end_that_came_meanwhile() {
    let db = Scratch::new().await;
    let (told, ended) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicBool::new(false)));
    let types = Registry::standard().with(Saving { told: Arc::clone(&told), ended: Arc::clone(&ended) });
    let limit = LaneLimit { side_by_side: 1, margin: Duration::from_secs(3) };
    let clock = Arc::new(ManualClock::new(t0()));
    let (worker, _) = worker::of(db.pool.clone(), clock, Lane::Default, types, limit);
    let mut task = db.task(1, 5, t0());
    Saving::TYPE.clone_into(&mut task.task_type);
    tasks::submit(&mut db.pool.acquire().await.expect("a connection"), &task, Some(t0())).await.expect("accepted");

    // A renewal that carries a checkpoint waits.
    let mut held = db.pool.acquire().await.expect("a connection");
    let wait = "create function hold() returns trigger language plpgsql as
                    $$ begin perform pg_advisory_xact_lock(1); return new; end $$;
                create trigger hold before update on tasks for each row
                    when (new.state = 'running' and new.checkpoint is not null) execute function hold();
                select pg_advisory_lock(1)";
    sqlx::raw_sql(wait).execute(&mut *held).await.expect("prepared");

    let heard = Heard { messages: 1, count: 1 };
    let batch = worker.run_batch(Lane::Default, heard, Instant::now() + Duration::from_mins(1));
    let world = async {
        db.until_one_waits().await;
        told.add_permits(1);
        until("the attempt did not end", PATIENCE, async || ended.load(Ordering::SeqCst).then_some(())).await;
        // The renewal's.
        let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
        assert_eq!(db.count(cut).await, 1);
    };
    let (outcome, ()) = futures::join!(batch, world);
    sqlx::query("select pg_advisory_unlock(1)").execute(&mut *held).await.expect("let go");
    drop(held);
    assert_eq!(outcome.expect("a decision").committed, 1);
    let mut conn = db.pool.acquire().await.expect("a connection");
    assert_eq!(
        tasks::get(&mut conn, task.id, None).await.expect("an answer").expect("the task").state,
        TaskState::Retrying
    );
    let saved: Option<String> =
        sqlx::query_scalar("select checkpoint::text from tasks").fetch_one(&mut *conn).await.expect("the checkpoint");
    assert_eq!(saved.as_deref(), Some("7"));
    drop(conn);
    db.done().await;
}
