//! A database in which nothing was migrated, and what is in it.

use std::time::Duration;

use halyard_tests::{TestDatabase, environment::Servers, seed, wait};
use sqlx::PgConnection;

/// How long a backend may take to get where a test wants it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A database without anything in it; [`TestDatabase::drop_now`] drops it.
pub async fn database() -> TestDatabase {
    let database = TestDatabase::create(&Servers::from_env().database_url, seed::start()).await;
    let mut connection = database.connect().await;
    sqlx::raw_sql("drop schema public cascade; create schema public").execute(&mut connection).await.expect("empty");
    database
}

/// Everything that queries can tell apart: columns, constraints, indexes, functions, the rows of small tables.
pub async fn schema(connection: &mut PgConnection) -> Vec<String> {
    let sql = r"
        select format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
        from information_schema.columns where table_schema = 'public' and table_name <> '_sqlx_migrations'
        union all
        select conrelid::regclass || ' ' || pg_get_constraintdef(oid)
        from pg_constraint where connamespace = 'public'::regnamespace
        union all
        select indexdef from pg_indexes where schemaname = 'public'
        union all
        select pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
        union all
        select format('migration %s %s %s', version, success, encode(checksum, 'hex')) from _sqlx_migrations
        order by 1";
    sqlx::query_scalar(sql).fetch_all(connection).await.expect("the catalogue")
}

/// Versions that the database says were applied.
pub async fn applied(connection: &mut PgConnection) -> Vec<i64> {
    let sql = "select version from _sqlx_migrations where success order by version";
    sqlx::query_scalar(sql).fetch_all(connection).await.expect("the list of migrations")
}

/// Waits until another backend of this database waits for `event` (`Lock`, or `Timeout` while it sleeps), and ends it.
pub async fn end_who_waits_for(event: &str, database: &TestDatabase) {
    let sql = "select pg_terminate_backend(pid, 5000) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid()
                 and state = 'active' and wait_event_type = $1";
    let ended = wait::until(format!("somebody to wait for {event}"), PATIENCE, async || {
        let mut connection = database.connect().await;
        sqlx::query_scalar::<_, bool>(sql).bind(event).fetch_optional(&mut connection).await.expect("backends")
    });
    assert!(ended.await, "the backend ends");
}
