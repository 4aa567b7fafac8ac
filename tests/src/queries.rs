//! Questions to a test's database.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Encode, PgConnection, Postgres, Type, postgres::PgRow};

use halyard_domain::TaskId;

use crate::{app::TestApp, wait};

impl TestApp {
    /// A connection to the test's database.
    pub async fn connect(&self) -> PgConnection {
        self.database().connect().await
    }

    /// Runs a statement.
    pub async fn execute(&self, sql: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connect().await).await;
        done.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    /// One number.
    pub async fn count(&self, sql: &str) -> i64 {
        let query = sqlx::query_scalar(AssertSqlSafe(sql));
        query.fetch_one(&mut self.connect().await).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// One number about something.
    pub async fn count_of<T>(&self, sql: &str, about: T) -> i64
    where
        T: for<'q> Encode<'q, Postgres> + Type<Postgres> + Send + 'static,
    {
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(about);
        query.fetch_one(&mut self.connect().await).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// Numbers about something.
    pub async fn numbers<T>(&self, sql: &str, about: T) -> Vec<f64>
    where
        T: for<'q> Encode<'q, Postgres> + Type<Postgres> + Send + 'static,
    {
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(about);
        query.fetch_all(&mut self.connect().await).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// Waits until so many statements wait for what other transactions hold.
    pub async fn until_waiting(&self, count: i64) {
        let sql =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        wait::until(format!("{count} statements that wait"), Duration::from_secs(4), async || {
            (self.count(sql).await == count).then_some(())
        })
        .await;
    }

    /// One text.
    pub async fn text(&self, sql: &str) -> String {
        let query = sqlx::query_scalar(AssertSqlSafe(sql));
        query.fetch_one(&mut self.connect().await).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// Changes a task's row behind everybody's back: `set` is what stands after SET.
    pub async fn change_task(&self, id: &str, set: &str) {
        let sql = format!("update tasks set {set} where id = $1");
        let query = sqlx::query(AssertSqlSafe(sql.as_str())).bind(number(id));
        let done = query.execute(&mut self.connect().await).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_eq!(done.rows_affected(), 1, "{sql}");
    }

    /// How many attempts have begun.
    pub async fn runs_of(&self, id: &str) -> i64 {
        let sql = "select count(distinct attempt) from task_events where task_id = $1 and state = 'running'";
        self.count_of(sql, number(id)).await
    }

    /// How many times the task has ended.
    pub async fn ends_of(&self, id: &str) -> i64 {
        let sql = "select count(*) from task_events where task_id = $1
                   and state in ('completed', 'failed', 'cancelled', 'expired', 'dead')";
        self.count_of(sql, number(id)).await
    }

    /// A number that orders tasks by their first attempt.
    pub async fn first_run_of(&self, id: &str) -> i64 {
        self.count_of("select min(id) from task_events where task_id = $1 and state = 'running'", number(id)).await
    }

    /// What is not finished, as one line each; empty is what a test should leave behind.
    pub(crate) async fn unfinished(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
        let sql = "select 'task ' || id || ' is ' || state from tasks
                   where state in ('queued', 'scheduled', 'running', 'retrying')
                   union all select 'outbox row of ' || task_id from outbox
                   union all select 'webhook of ' || source || ' is owed' from webhook_deliveries where state = 'owed'";
        sqlx::query_scalar(sql).fetch_all(connection).await
    }

    /// One row.
    pub async fn row(&self, sql: &str) -> PgRow {
        let query = sqlx::query(AssertSqlSafe(sql));
        query.fetch_one(&mut self.connect().await).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
    }
}

/// A task's id as the database has it.
fn number(id: &str) -> uuid::Uuid {
    id.parse::<TaskId>().expect("a task id").0
}
