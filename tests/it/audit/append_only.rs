//! The database adds to the log and does nothing else to it, whoever asks.

use halyard_domain::audit::{Link, verify};
use halyard_store::{audit, migrator};
use halyard_tests::TestDatabase;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::with_entries;
use crate::migrations::{blank, released::Released};

async fn refused(connection: &mut PgConnection, sql: &'static str) {
    let error = sqlx::raw_sql(sql).execute(connection).await.expect_err(sql).to_string();
    assert!(error.contains("only ever added to"), "{sql}: {error}");
}

async fn is_intact(connection: &mut PgConnection) -> usize {
    let (entries, head) = audit::chain(connection, 0, 10_000).await.expect("the chain");
    let found = verify(&Link::start(), &entries, head.as_ref());
    assert_eq!(found.faults, [], "{entries:#?}");
    found.checked
}

fn entry<'a>(action: &'a str, target: &'a str) -> audit::Entry<'a> {
    audit::Entry {
        actor: None,
        action,
        target,
        detail: json!({"text": "gr\u{fc}n \u{1f511}", "n": 1.50}),
        request_id: None,
    }
}

#[tokio::test]
async fn what_was_written_cannot_be_changed_or_deleted() {
    let (app, _, _) = with_entries(1).await;
    let connection = &mut app.connect().await;
    for sql in [
        "update audit_log set target = 'user:9'",
        "update audit_log set hash = '' where false",
        "delete from audit_log",
        "delete from audit_log where id = 2",
        "truncate audit_log",
        "truncate audit_head",
        "update audit_head set id = 0",
        "delete from audit_head",
        "insert into audit_head (one, id, hash) values (true, 1, sha256('x'))",
    ] {
        refused(connection, sql).await;
    }
    assert_eq!(is_intact(connection).await, 2);
}

#[tokio::test]
async fn whoever_writes_neither_chooses_the_number_nor_the_hash() {
    let (app, _, _) = with_entries(0).await;
    let connection = &mut app.connect().await;
    let sql = "insert into audit_log (id, at, action, target, hash) overriding system value
               values (77, now(), 'a.b', 'c:1', sha256('x')), (1, now(), 'a.b', 'c:2', sha256('x'))";
    sqlx::raw_sql(sql).execute(&mut *connection).await.expect("added");
    let ids: Vec<i64> =
        sqlx::query_scalar("select id from audit_log order by id").fetch_all(&mut *connection).await.expect("numbers");
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(is_intact(connection).await, 3);
}

#[tokio::test]
async fn writers_at_once_make_one_chain_without_gaps() {
    let (app, _, _) = with_entries(0).await;
    let writers = (0..8).map(|writer| {
        let app = &app;
        async move {
            let mut connection = app.connect().await;
            for n in 0..10 {
                let target = format!("writer:{writer}:{n}");
                audit::append(&mut connection, &entry("a.b", &target), None).await.expect("added");
            }
        }
    });
    futures::future::join_all(writers).await;
    let connection = &mut app.connect().await;
    assert_eq!(is_intact(connection).await, 81);
    assert_eq!(app.count("select max(id) from audit_log").await, 81, "no gaps");
}

#[tokio::test]
async fn what_was_rolled_back_leaves_no_gap() {
    let (app, _, _) = with_entries(0).await;
    let mut connection = app.connect().await;
    let mut transaction = connection.begin().await.expect("a transaction");
    audit::append(&mut transaction, &entry("a.b", "c:1"), None).await.expect("added");
    transaction.rollback().await.expect("rolled back");
    audit::append(&mut connection, &entry("a.b", "c:2"), None).await.expect("added");
    assert_eq!(is_intact(&mut connection).await, 2);
    assert_eq!(app.count("select max(id) from audit_log").await, 2);
}

#[tokio::test]
async fn entries_from_before_the_chain_are_chained_by_the_migration_gaps_and_all() {
    let database: TestDatabase = blank::database().await;
    let mut connection = database.connect().await;
    migrator().run_direct(Some(6), &mut connection, false).await.expect("an earlier schema");
    let rows = "insert into audit_log (at, actor_id, action, target, detail)
                select '2025-01-01T00:00:00.123456Z'::timestamptz + make_interval(secs => n), nullif(n % 3, 0), 'a.b', 'c:' || n,
                       jsonb_build_object('n', n, 'a', 1.50) from generate_series(1, 500) n";
    sqlx::raw_sql(rows).execute(&mut connection).await.expect("entries");
    sqlx::raw_sql("delete from audit_log where id in (1, 7, 8)").execute(&mut connection).await.expect("gaps");
    halyard_store::migrate(&database.url()).await.expect("the rest");
    assert_eq!(is_intact(&mut connection).await, 497);
    audit::append(&mut connection, &entry("a.b", "c:2"), None).await.expect("added");
    assert_eq!(is_intact(&mut connection).await, 498);
    refused(&mut connection, "delete from audit_log").await;
    database.drop_now().await;
}

/// What the migration's acceptance says: the last release goes on writing during a deployment.
#[tokio::test]
async fn what_the_last_release_writes_is_chained_as_well() {
    let (app, _, _) = with_entries(0).await;
    let connection = &mut app.connect().await;
    let released = Released::load();
    let insert = released.queries.iter().find(|q| q.query.starts_with("insert into audit_log")).expect("its statement");
    for n in 0..3_i64 {
        sqlx::query(AssertSqlSafe(insert.query.as_str()))
            .bind(None::<chrono::DateTime<chrono::Utc>>)
            .bind(n)
            .bind("user.change_password")
            .bind("user:1")
            .bind(json!({"n": n}))
            .bind(Some("req_1"))
            .execute(&mut *connection)
            .await
            .expect("taken");
    }
    assert_eq!(is_intact(connection).await, 4);
}
