//! No statement on the way of a request or a task reads a table from end to end.

use std::time::Duration;

use halyard_domain::{Lane, UserId, task::TaskState, webhook::DeliveryState};
use halyard_store::{lanes, outbox, statistics, tasks, webhooks};
use sqlx::Connection as _;

use super::scratch::{Scratch, cancel, claim, completed, finished, report, retry, rows_read, s, t0};

async fn sequential_scans(db: &Scratch) -> i64 {
    let mut fresh = sqlx::PgConnection::connect(&db.url).await.expect("the server");
    let scans = sqlx::query_scalar(
        "select sum(seq_scan)::bigint from pg_stat_user_tables
         where relname in ('tasks', 'task_events', 'outbox', 'users', 'stat_totals', 'stat_hourly', 'stat_durations',
                           'webhook_deliveries', 'webhook_attempts', 'webhook_endpoints')",
    );
    scans.fetch_one(&mut fresh).await.expect("the count")
}

/// Makes the session that was used last report what it did.
async fn flush(db: &Scratch) {
    report(&mut db.pool.acquire().await.expect("a connection")).await;
}

#[tokio::test]
async fn the_statements_of_a_tasks_life_go_by_index() {
    let db = Scratch::new().await;
    let before = sequential_scans(&db).await;
    {
        let conn = &mut *db.pool.acquire().await.expect("a connection");
        let many: Vec<_> = (0..50).map(|i| db.task(1 + i % 3, 5, t0() + s(i))).collect();
        tasks::submit_many(conn, &many, Some(t0())).await.expect("accepted");
        let now = Some(t0() + s(60));
        let claimed = tasks::claim(conn, &claim(Lane::Default, 10), now).await.expect("claimed");
        let renewals: Vec<_> = claimed
            .iter()
            .map(|c| tasks::Renewal { id: c.id, fence: c.fence, progress: None, checkpoint: None, note: None })
            .collect();
        tasks::renew(conn, &renewals, Duration::from_secs(15), now).await.expect("renewed");
        let ends: Vec<_> = claimed
            .iter()
            .enumerate()
            .map(|(i, c)| if i == 0 { retry(c, s(5)) } else { finished(c, TaskState::Completed) })
            .collect();
        assert_eq!(tasks::finish(conn, &ends, now).await.expect("finished").len(), 10);
        cancel(conn, many[40].id, None, "x", now).await.expect("cancelled");
        let terms = tasks::AgainTerms {
            scope: tasks::Scope::Of(UserId(2)),
            states: &TaskState::TRIED_AGAIN,
            types: &["sample"],
            message: "again",
            longest_chain: Some(5),
            request_id: None,
            traceparent: None,
            audit: None,
        };
        let again = tasks::Again { of: many[40].id, id: db.task(2, 5, t0()).id, delay: s(0) };
        assert_eq!(tasks::again(conn, &[again], &terms, now).await.expect("tried again").len(), 1);
        for scope in [tasks::Scope::All, tasks::Scope::Of(UserId(1))] {
            let filter = tasks::Filter::default();
            tasks::matching(conn, scope, &filter, &TaskState::UNENDED, true, None, 10).await.expect("read");
        }
        tasks::dead_letters(conn, &tasks::DeadFilter::default(), None, 10).await.expect("read");
        tasks::get(conn, many[0].id, Some(UserId(1))).await.expect("read");
        tasks::events(conn, many[0].id).await.expect("read");
        for owner in [None, Some(UserId(1))] {
            for (state, task_type) in [(None, None), (Some(TaskState::Failed), None), (None, Some("sample".to_owned()))]
            {
                let filter = tasks::Filter { state, task_type, ..tasks::Filter::default() };
                tasks::list(conn, owner, &filter, None, 20).await.expect("read");
            }
            statistics::overview(conn, owner, now).await.expect("read");
        }
        tasks::expired_leases(conn, 10, now).await.expect("read");
        outbox::overdue(conn, s(15), 10, now).await.expect("swept");
        lanes::needing_doorbell(conn, s(15), now).await.expect("read");
        lanes::depths(conn, now).await.expect("read");
        statistics::fold(conn, 10).await.expect("folded");
        for owner in [None, Some(UserId(1))] {
            for (task, state) in [
                (None, None),
                (Some(many[0].id), None),
                (None, Some(DeliveryState::Owed)),
                (None, Some(DeliveryState::Failed)),
                (None, Some(DeliveryState::Delivered)),
            ] {
                let filter = webhooks::Filter { task, state, event: None };
                webhooks::deliveries(conn, owner, &filter, None, 20).await.expect("read");
            }
        }
        webhooks::claim(conn, 10, &[], now).await.expect("claimed");
        webhooks::overdue(conn, 10, now).await.expect("read");
        webhooks::sweep(conn, chrono::Duration::days(30), 10, now).await.expect("swept");
        webhooks::forget_endpoints(conn, chrono::Duration::days(30), 10, now).await.expect("swept");
        halyard_store::users::by_login(conn, "ada").await.expect("read");
        halyard_store::users::by_login(conn, "ada@example.org").await.expect("read");
    }
    flush(&db).await;
    assert_eq!(sequential_scans(&db).await, before);
    // And one that cannot go by index does show.
    db.count("select count(*) from tasks where timeout_s > 0").await;
    flush(&db).await;
    assert_eq!(sequential_scans(&db).await, before + 1);
    db.done().await;
}

#[tokio::test]
async fn filters_of_dead_letters_look_at_dead_letters_only() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.expect("a connection");
    completed(conn, t0(), 5_000).await;
    sqlx::raw_sql("vacuum analyze tasks").execute(&mut *conn).await.expect("done");
    let die = "update tasks set state = 'dead', error = 'unknown_type: nobody knows it'
               where id in (select id from tasks order by id limit 30)";
    sqlx::raw_sql(die).execute(&mut *conn).await.expect("dead");
    report(conn).await;
    for filter in [
        tasks::DeadFilter { task_type: Some("training".to_owned()), ..tasks::DeadFilter::default() },
        tasks::DeadFilter { reason: Some("lost".to_owned()), ..tasks::DeadFilter::default() },
        tasks::DeadFilter { user_id: Some(UserId(2)), ..tasks::DeadFilter::default() },
        tasks::DeadFilter { died_before: Some(t0()), ..tasks::DeadFilter::default() },
        tasks::DeadFilter { died_after: Some(t0() + s(100_000)), ..tasks::DeadFilter::default() },
        tasks::DeadFilter { redriven: Some(true), ..tasks::DeadFilter::default() },
    ] {
        let before = rows_read(&db, "tasks").await;
        assert_eq!(tasks::dead_letters(conn, &filter, None, 20).await.expect("an answer"), []);
        report(conn).await;
        let rows = rows_read(&db, "tasks").await - before;
        assert!(rows <= 30, "{rows} rows were read: {filter:?}");
    }
    db.done().await;
}
