//! Lists of tasks, by every filter.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use halyard_domain::{Priority, TaskId, UserId, task::TaskState};
use halyard_store::{
    PgConnection,
    tasks::{self, Filter, LOOKED_AT, TaskSummary},
};
use proptest::{prelude::*, sample, strategy::ValueTree as _, test_runner::TestRunner};

use super::scratch::{Scratch, completed, report, rows_read, s, t0};

const TYPES: [&str; 3] = ["data_processing", "sample", "user_specific"];

/// Tasks in every state, of three users and three types; the clock of who made their ids was half an hour off for some, and
/// some ids are those of a key that was let through a day later.
const TASKS: &str = "
    insert into tasks (id, user_id, created_at, available_at, claim_order, fence, lease_until, started_at, attempt_at, ended_at,
                       timeout_s, retry_delay_s, max_retries, priority, attempt, exponential_backoff, lane, state, task_type, input)
    select (lpad(to_hex((extract(epoch from at + (i % 3 - 1) * interval '30 min') * 1000)::bigint), 12, '0')
            || lpad(to_hex(i), 20, '0'))::uuid,
           1 + i % 3, at, at, at, 1, case when state = 'running' then at end, at, at,
           case when state in ('completed', 'failed', 'cancelled', 'expired', 'dead') then at end,
           300, 60, 3, 1 + i % 10, 1, true, 'default', state, (array['data_processing', 'sample', 'user_specific'])[1 + i / 3 % 3],
           '{}'
    from generate_series(0, 599) i,
         lateral (select timestamptz '2026-01-02 03:04:05Z' + (i * 7919 % 600) * interval '1 min' as at,
                         (array['queued', 'scheduled', 'running', 'retrying', 'completed', 'failed', 'cancelled', 'expired', 'dead',
                                'completed', 'completed', 'completed'])[1 + i / 5 % 12] as state) made";

/// Everybody's tasks, newest first.
async fn all(conn: &mut PgConnection) -> Vec<TaskSummary> {
    let page = tasks::list(conn, None, &Filter::default(), None, 1_000).await.unwrap();
    assert_eq!(page.next, None);
    page.tasks
}

fn fits(task: &TaskSummary, owner: Option<UserId>, filter: &Filter) -> bool {
    owner.is_none_or(|owner| task.user_id == owner)
        && filter.state.is_none_or(|state| task.state == state)
        && filter.task_type.as_ref().is_none_or(|of| task.task_type == *of)
        && filter.priority.is_none_or(|priority| task.priority == priority)
        && filter.submitted_after.is_none_or(|at| task.created_at >= at)
        && filter.submitted_before.is_none_or(|at| task.created_at < at)
}

fn filters() -> impl Strategy<Value = (Option<UserId>, Filter, usize)> {
    let state = proptest::option::of(sample::select(&TaskState::ALL[..]));
    let task_type = proptest::option::of(sample::select(&["data_processing", "nothing", "sample", "zzz"][..]));
    let priority = proptest::option::weighted(0.3, 1..=10_i16);
    let at = || proptest::option::weighted(0.3, (0..700_i64).prop_map(|minutes| t0() + s(60 * minutes)));
    let owner = proptest::option::weighted(0.7, 0..=4_i64);
    (owner, state, task_type, priority, at(), at(), 1..=40_usize).prop_map(
        |(owner, state, task_type, priority, submitted_after, submitted_before, limit)| {
            let filter = Filter {
                state,
                task_type: task_type.map(str::to_owned),
                priority: priority.map(|p| Priority::try_from(p).expect("1 to 10")),
                submitted_after,
                submitted_before,
                workflow: None,
            };
            (owner.map(UserId), filter, limit)
        },
    )
}

#[tokio::test]
async fn pages_hold_what_fits_and_nothing_else_whatever_the_filter() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    sqlx::raw_sql(TASKS).execute(&mut *conn).await.unwrap();
    let all = all(conn).await;
    assert_eq!(all.len(), 600);
    assert!(TYPES.iter().all(|of| all.iter().any(|task| task.task_type == *of)));
    let mut runner = TestRunner::deterministic();
    for _ in 0..300 {
        let (owner, filter, limit) = filters().new_tree(&mut runner).unwrap().current();
        let expected: Vec<TaskId> = all.iter().filter(|task| fits(task, owner, &filter)).map(|task| task.id).collect();
        let (mut found, mut cursor, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = tasks::list(conn, owner, &filter, cursor, i64::try_from(limit).unwrap()).await.unwrap();
            assert!(page.tasks.len() <= limit);
            found.extend(page.tasks.iter().map(|task| task.id));
            pages += 1;
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{owner:?} {filter:?}");
        assert_eq!(pages, expected.len().div_ceil(limit).max(1), "{owner:?} {filter:?}");
    }
    db.done().await;
}

#[tokio::test]
async fn what_no_index_leads_to_is_looked_for_a_stretch_at_a_time() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let rare = db.submit(1, 1, t0()).await;
    completed(conn, t0(), LOOKED_AT + 500).await;
    for owner in [None, Some(UserId(1))] {
        // No index knows the priority: the first page looks at as many as it may, and says where to go on.
        let filter = Filter { priority: Some(Priority::try_from(1).unwrap()), ..Filter::default() };
        let first = tasks::list(conn, owner, &filter, None, 20).await.unwrap();
        assert!(first.tasks.is_empty());
        let second = tasks::list(conn, owner, &filter, first.next, 20).await.unwrap();
        assert!(first.next.is_some());
        assert_eq!((second.tasks.len(), second.tasks[0].id, second.next), (1, rare, None));
        // One knows the state, and what it waits for.
        let filter = Filter { state: Some(TaskState::Queued), ..Filter::default() };
        let page = tasks::list(conn, owner, &filter, None, 20).await.unwrap();
        assert_eq!((page.tasks.len(), page.tasks[0].id, page.next), (1, rare, None));
        // And ids know the time, if they are not those of an older key.
        let filter = Filter { submitted_before: Some(t0() + s(1)), ..Filter::default() };
        let page = tasks::list(conn, owner, &filter, None, 20).await.unwrap();
        assert_eq!((page.tasks.len(), page.tasks[0].id, page.next), (1, rare, None));
    }
    db.done().await;
}

#[tokio::test]
async fn a_list_reads_no_more_than_a_page_of_what_an_index_leads_to() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    completed(conn, t0(), 20_000).await;
    sqlx::raw_sql("vacuum analyze tasks").execute(&mut *conn).await.unwrap();
    let of =
        |state, task_type: Option<&str>| Filter { state, task_type: task_type.map(str::to_owned), ..Filter::default() };
    sqlx::raw_sql(
        "update tasks set user_id = 3, state = 'failed' where id in (select id from tasks order by id limit 100)",
    )
    .execute(&mut *conn)
    .await
    .unwrap();
    report(conn).await;
    let (one, two, three) = (Some(UserId(1)), Some(UserId(2)), Some(UserId(3)));
    let failed = Some(TaskState::Failed);
    for (owner, filter, reads) in [
        (None, of(None, None), 21),
        (one, of(None, None), 21),
        (None, of(failed, None), 21),
        (three, of(failed, None), 21),
        (three, of(failed, Some("sample")), 21),
        (one, of(None, Some("sample")), 21),
        // What tells that there are no more: tasks beyond the range.
        (one, of(None, Some("training")), 21),
        (two, of(None, None), 21),
        (one, of(None, Some("nothing")), 0),
        (one, of(failed, None), 0),
        (None, of(Some(TaskState::Dead), None), 0),
        (None, of(Some(TaskState::Running), None), 0),
        (one, of(Some(TaskState::Running), None), 0),
    ] {
        let before = rows_read(&db, "tasks").await;
        tasks::list(conn, owner, &filter, None, 20).await.unwrap();
        report(conn).await;
        assert_eq!(rows_read(&db, "tasks").await - before, reads, "{owner:?} {filter:?}");
    }
    let before = rows_read(&db, "tasks").await;
    tasks::dead_letters(conn, &tasks::DeadFilter::default(), None, 20).await.unwrap();
    report(conn).await;
    assert_eq!(rows_read(&db, "tasks").await, before);
    db.done().await;
}
