//! Migrating: twice, by two at once, interrupted, and when code and schema are a release apart.

use std::borrow::Cow;

use halyard_store::{StoreError, mails, migrate, migrator, users};
use halyard_tests::{TestApp, TestDatabase};
use http::Method;
use serde_json::json;
use sqlx::{
    Connection as _, PgConnection, SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use super::blank;

fn versions() -> Vec<i64> {
    migrator().iter().map(|m| m.version).collect()
}

/// The schema that a database has which was migrated without any trouble.
async fn undisturbed() -> Vec<String> {
    let database = blank::database().await;
    migrate(&database.url()).await.expect("migrated");
    let schema = blank::schema(&mut database.connect().await).await;
    database.drop_now().await;
    schema
}

async fn is_complete(database: &TestDatabase) {
    let mut connection = database.connect().await;
    assert_eq!(blank::applied(&mut connection).await, versions());
    assert_eq!(blank::schema(&mut connection).await, undisturbed().await);
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let database = blank::database().await;
    assert_eq!(migrate(&database.url()).await.expect("migrated"), versions().len() as u64);
    assert_eq!(migrate(&database.url()).await.expect("again"), 0);
    is_complete(&database).await;
    database.drop_now().await;
}

#[tokio::test]
async fn several_who_migrate_at_once_all_succeed() {
    let database = blank::database().await;
    let url = database.url();
    for result in futures::future::join_all((0..4).map(|_| migrate(&url))).await {
        result.expect("each finds the database migrated");
    }
    is_complete(&database).await;
    database.drop_now().await;
}

#[tokio::test]
async fn a_migration_whose_backend_is_killed_in_the_middle_leaves_what_the_next_run_completes() {
    let database = blank::database().await;
    // The second migration makes a table of this name and has to wait for this transaction, half-way through.
    let mut other = database.connect().await;
    let mut held = other.begin().await.expect("a transaction");
    sqlx::query("create table task_events (x int)").execute(&mut *held).await.expect("a table in the way");
    let url = database.url();
    let (interrupted, ()) = tokio::join!(migrate(&url), blank::end_who_waits_for("Lock", &database));
    held.rollback().await.expect("out of the way");
    assert!(interrupted.as_ref().is_err_and(StoreError::is_unavailable), "{interrupted:?}");

    let mut connection = database.connect().await;
    assert_eq!(blank::applied(&mut connection).await, [1], "the one before is kept");
    let half: Option<String> =
        sqlx::query_scalar("select to_regclass('tasks')::text").fetch_one(&mut connection).await.expect("an answer");
    assert_eq!(half, None, "nothing is left of the one that was interrupted");
    assert_eq!(migrate(&url).await.expect("the rest"), versions().len() as u64 - 1);
    is_complete(&database).await;
    database.drop_now().await;
}

fn step(version: i64, sql: &'static str) -> Migration {
    let text = sql.into_sql_str();
    Migration::new(version, Cow::Borrowed("scratch"), MigrationType::Simple, text, sql.starts_with("-- no-transaction"))
}

async fn run(steps: Vec<Migration>, connection: &mut PgConnection) -> Result<(), MigrateError> {
    Migrator::with_migrations(steps).run_direct(None, connection, false).await
}

#[tokio::test]
async fn a_long_migration_that_is_interrupted_can_be_replaced_by_a_better_one() {
    let database = blank::database().await;
    let mut first = database.connect().await;
    let slow = vec![step(1, "create table a (x int)"), step(2, "create table b (x int); select pg_sleep(600)")];
    let (interrupted, ()) = tokio::join!(run(slow, &mut first), blank::end_who_waits_for("Timeout", &database));
    interrupted.expect_err("its connection is gone");
    let mut second = database.connect().await;
    let better = vec![step(1, "create table a (x int)"), step(2, "create table b (x int)")];
    run(better, &mut second).await.expect("neither a lock nor half a table is left");
    assert_eq!(blank::applied(&mut second).await, [1, 2]);
    database.drop_now().await;
}

#[tokio::test]
async fn an_applied_migration_that_was_edited_is_refused() {
    let database = blank::database().await;
    let mut connection = database.connect().await;
    run(vec![step(1, "create table a (x int)")], &mut connection).await.expect("applied");
    let edited = run(vec![step(1, "create table a (x bigint)")], &mut database.connect().await).await;
    assert!(matches!(edited, Err(MigrateError::VersionMismatch(1))), "{edited:?}");
    database.drop_now().await;
}

/// A release that was rolled back to meets a later schema: its deployment's migrate step has nothing to do.
#[tokio::test]
async fn the_migrator_of_an_earlier_release_leaves_a_later_schema_alone() {
    let database = blank::database().await;
    migrate(&database.url()).await.expect("migrated");
    let mut connection = database.connect().await;
    sqlx::raw_sql(
        "alter table tasks add column region text;
         insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'of a later release', true, '\\x00', 1)",
    )
    .execute(&mut connection)
    .await
    .expect("a later release");
    assert_eq!(migrate(&database.url()).await.expect("nothing to do"), 0);
    assert_eq!(blank::applied(&mut connection).await.last(), Some(&9999));
    database.drop_now().await;
}

#[tokio::test]
async fn code_that_meets_an_earlier_schema_says_so_and_works_once_it_is_migrated() {
    let database = blank::database().await;
    let mut connection = database.connect().await;
    // Second factors came with the migration after this one.
    for target in [None, Some(5)] {
        if let Some(target) = target {
            migrator().run_direct(Some(target), &mut connection, false).await.expect("an earlier schema");
        }
        let refused = match target {
            None => users::by_login(&mut connection, "ada").await.err(),
            Some(_) => mails::count_owed(&mut connection, 1).await.err(),
        };
        let refused = refused.unwrap_or_else(|| panic!("migrated to {target:?} only"));
        assert!(refused.is_unavailable() && refused.to_string().contains("migrate first"), "{refused}");
    }
    migrate(&database.url()).await.expect("the rest");
    let owed = mails::count_owed(&mut connection, 1).await;
    assert!(matches!(owed, Ok(0)), "the same connection: {owed:?}");
    database.drop_now().await;
}

#[tokio::test]
async fn callers_get_503_while_the_schema_is_not_there_yet() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let submit = async || {
        let body = json!({"task_type": "sample", "data": {"message": "hello"}});
        user.request(Method::POST, "/tasks/submit").json(&body).send().await
    };
    app.execute("alter table tasks rename to not_yet").await;
    let refused = submit().await.expect(503);
    assert!(refused.header("retry-after").parse::<u32>().is_ok_and(|s| s > 0), "{}", refused.text());
    assert!(!refused.text().contains("relation"), "no detail leaks: {}", refused.text());
    app.execute("alter table not_yet rename to tasks").await;
    submit().await.expect(200);
    app.drain().await;
}
