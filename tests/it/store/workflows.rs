//! What a workflow's statements read, whatever the server last heard of the tables.

use halyard_domain::{
    Lane, TaskId, UserId, WorkflowId,
    task::TaskState,
    workflow::{Edge, FailureStrategy, Mode, WorkflowKind, advance},
};
use halyard_store::{
    PgConnection,
    tasks::{self, NewTask, Step},
    workflows::{self, NewWorkflow},
};

use super::scratch::{Scratch, completed, finished, report, rows_read, s, t0};

/// A workflow whose steps all wait for the first.
async fn fan_out(db: &Scratch, user: i64, steps: i32) -> (WorkflowId, Vec<TaskId>) {
    let id = WorkflowId(db.entropy.ulid(t0()));
    let tasks: Vec<NewTask> = (0..steps)
        .map(|number| {
            let mut task = db.task(user, 5, t0());
            let waits_for = i32::from(number > 0);
            task.ties.step = Some(Step { workflow: id, number, waits_for, takes: false, name: None });
            task
        })
        .collect();
    let workflow = NewWorkflow {
        id,
        user_id: UserId(user),
        kind: WorkflowKind::Batch,
        mode: Mode::Graph,
        failure_strategy: FailureStrategy::Continue,
        name: "one, then all".to_owned(),
        callbacks: None,
        edges: (1..tasks.len()).map(|after| Edge { before: 0, after, needs_success: false, gives: false }).collect(),
        request_id: None,
        traceparent: None,
    };
    workflows::create(&mut db.pool.acquire().await.expect("an answer"), &workflow, &tasks, Some(t0()))
        .await
        .expect("accepted");
    (id, tasks.into_iter().map(|task| task.id).collect())
}

/// How many blocks of an index have been visited.
async fn visited(conn: &mut PgConnection, index: &str) -> i64 {
    report(conn).await;
    let sql = "select (idx_blks_hit + idx_blks_read)::bigint from pg_statio_user_indexes where indexrelname = $1";
    sqlx::query_scalar(sql).bind(index).fetch_one(conn).await.expect("the count")
}

/// Ends of steps that nobody has heard of.
async fn signal(conn: &mut PgConnection, steps: std::ops::RangeInclusive<i32>, workflow: WorkflowId) {
    let sql = "insert into workflow_signals (workflow_id, step, task_id, state, at)
               select $1, step, $1, 'completed', $2 from generate_series($3, $4) step";
    let insert = sqlx::query(sql).bind(workflow.0).bind(t0()).bind(steps.start()).bind(steps.end());
    insert.execute(conn).await.expect("signalled");
}

#[tokio::test]
async fn an_end_of_a_step_is_heard_without_reading_what_others_wait_for() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    // The server takes stock at a moment at which nothing waits, and what was signalled has been heard.
    completed(conn, t0(), 5_000).await;
    signal(conn, 1..=20_000, WorkflowId(db.entropy.ulid(t0()))).await;
    sqlx::raw_sql("delete from workflow_signals where step < 20000").execute(&mut *conn).await.expect("done");
    sqlx::raw_sql("vacuum analyze").execute(&mut *conn).await.expect("done");
    let (id, steps) = fan_out(&db, 1, 21).await;
    let claimed = db.claim(Lane::Default, 10, t0()).await;
    assert_eq!(claimed.iter().map(|task| task.id).collect::<Vec<_>>(), steps[..1]);
    tasks::finish(conn, &[finished(&claimed[0], TaskState::Completed)], Some(t0() + s(1))).await.expect("an answer");
    let (other, _) = fan_out(&db, 2, 2_000).await;
    signal(conn, 1..=20_000, other).await;

    let snapshot = workflows::snapshot(conn, id).await.expect("an answer").expect("nobody else is at it");
    assert_eq!(snapshot.signals.len(), 1);
    let next = advance(snapshot.progress, &snapshot.signals, &snapshot.dependents);
    report(conn).await;
    let (rows, blocks) = (rows_read(&db, "tasks").await, visited(conn, "workflow_signals_pkey").await);
    let released = workflows::commit(conn, &snapshot, &next, &[], Some(t0() + s(2))).await.expect("an answer");
    assert_eq!(released.iter().map(|step| step.id).collect::<Vec<_>>(), steps[1..]);
    let (rows, blocks) = (rows_read(&db, "tasks").await - rows, visited(conn, "workflow_signals_pkey").await - blocks);
    assert!(rows <= 40, "{rows} rows of tasks were read to release twenty");
    assert!(blocks <= 4, "{blocks} blocks of the signals' index were visited to take one away");

    report(conn).await;
    let rows = rows_read(&db, "tasks").await;
    let cancelled = workflows::cancel(conn, id, None, "enough", Some(t0() + s(3))).await.expect("an answer");
    assert_eq!(cancelled, Some(workflows::Cancelled::Requested { ended: 20, told: 0 }));
    report(conn).await;
    let rows = rows_read(&db, "tasks").await - rows;
    assert!(rows <= 80, "{rows} rows of tasks were read to cancel twenty");
    db.done().await;
}
