//! A scratch database of the test's own on the server at `TEST_DATABASE_URL`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Duration, Utc};
use halyard_domain::{Entropy, Lane, Priority, TaskId, UserId, retry::RetryPolicy};
use halyard_store::{Pool, audit, tasks, tasks::NewTask};
use halyard_tests::wait::until;
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

pub struct Scratch {
    server: String,
    name: String,
    pub url: String,
    pub pool: Pool,
    pub entropy: Entropy,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Scratch {
    pub async fn new() -> Self {
        let server = halyard_tests::environment::Servers::from_env().database_url;
        let name = format!("store_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&server).await.expect("the test server");
        sqlx::query(AssertSqlSafe(format!("drop database if exists {name} with (force)")))
            .execute(&mut admin)
            .await
            .unwrap();
        sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut admin).await.unwrap();
        let (base, query) =
            server.split_once('?').map_or((server.as_str(), String::new()), |(b, q)| (b, format!("?{q}")));
        let url = format!("{}/{name}{query}", base.rsplit_once('/').unwrap().0);
        assert!(halyard_store::migrate(&url).await.unwrap() > 0);
        assert_eq!(halyard_store::migrate(&url).await.unwrap(), 0, "a second run applies nothing");
        let pool = halyard_store::connect(&url, 16).unwrap();
        Self { server, name, url, pool, entropy: Entropy::seeded(1) }
    }

    pub async fn done(self) {
        self.pool.close().await;
        let mut admin = PgConnection::connect(&self.server).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("drop database if exists {} with (force)", self.name)))
            .execute(&mut admin)
            .await
            .unwrap();
    }

    pub fn task(&self, user: i64, priority: i16, at: DateTime<Utc>) -> NewTask {
        let priority = Priority::try_from(priority).unwrap();
        NewTask {
            id: TaskId(self.entropy.ulid(at)),
            user_id: UserId(user),
            task_type: "sample".into(),
            lane: Lane::for_priority(priority),
            priority,
            input: json(r#"{"message":"hello"}"#),
            resources: None,
            callbacks: None,
            retry: RetryPolicy::default(),
            timeout_s: 300,
            expires_at: None,
            scheduled_for: None,
            request_id: Some("req_1".into()),
            traceparent: None,
            ties: tasks::Ties::default(),
        }
    }

    pub async fn submit(&self, user: i64, priority: i16, at: DateTime<Utc>) -> TaskId {
        let task = self.task(user, priority, at);
        tasks::submit(&mut self.pool.acquire().await.unwrap(), &task, Some(at)).await.unwrap();
        task.id
    }

    pub async fn claim(&self, lane: Lane, limit: i64, at: DateTime<Utc>) -> Vec<tasks::Claimed> {
        tasks::claim(&mut self.pool.acquire().await.unwrap(), &claim(lane, limit), Some(at)).await.unwrap()
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut *self.pool.acquire().await.unwrap()).await.unwrap()
    }

    /// Waits until a statement waits for what another transaction holds.
    pub async fn until_one_waits(&self) {
        let blocked =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        let look = async || (self.count(blocked).await > 0).then_some(());
        until("no statement waits for another", std::time::Duration::from_secs(10), look).await;
    }
}

pub fn claim(lane: Lane, limit: i64) -> tasks::Claim<'static> {
    tasks::Claim {
        lane,
        limit,
        worker_id: "worker-1",
        worker_host: "host-1",
        lease: std::time::Duration::from_secs(15),
        look: tasks::Look::Quick,
        fronts: &[],
    }
}

/// Makes the session say what it did: the server's statistics have it from then on.
pub async fn report(conn: &mut PgConnection) {
    sqlx::raw_sql("select pg_stat_force_next_flush()").execute(&mut *conn).await.unwrap();
    halyard_store::ping(conn).await.unwrap();
}

/// Cancels one task, as its owner or as somebody who may do that with every task.
pub async fn cancel(
    conn: &mut PgConnection,
    id: TaskId,
    owner: Option<UserId>,
    reason: &str,
    now: Option<DateTime<Utc>>,
) -> halyard_store::Result<Option<tasks::Cancelled>> {
    let terms = tasks::CancelTerms { scope: owner.into(), reason, force: false, audit: None };
    Ok(tasks::cancel_many(conn, &[id], &terms, now).await?.pop().map(|(_, outcome)| outcome))
}

pub fn entry(action: &str) -> audit::Entry<'_> {
    audit::Entry { actor: Some(UserId(1)), action, target: "thing:1", detail: serde_json::json!({}), request_id: None }
}

pub fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

pub fn t0() -> DateTime<Utc> {
    "2026-01-02T03:04:05.678901Z".parse().unwrap()
}

pub fn s(seconds: i64) -> Duration {
    Duration::seconds(seconds)
}

pub fn finished(task: &tasks::Claimed, state: halyard_domain::task::TaskState) -> tasks::Finish {
    use halyard_domain::task::TaskState::{Completed, Failed};
    tasks::Finish {
        id: task.id,
        fence: task.fence,
        ending: tasks::Ending::Finished {
            state,
            result: (state == Completed).then(|| json(r#"{"answer":42}"#)),
            error: (state != Completed).then(|| "no luck".to_owned()),
        },
        failed: state == Failed,
        lease_lost: false,
        message: format!("Task {state}"),
        progress: None,
        checkpoint: None,
    }
}

pub fn retry(task: &tasks::Claimed, delay: Duration) -> tasks::Finish {
    tasks::Finish {
        id: task.id,
        fence: task.fence,
        ending: tasks::Ending::Retry { delay, error: "passing".into() },
        failed: true,
        lease_lost: false,
        message: "Retrying".into(),
        progress: Some(json(r#"{"percentage":50}"#)),
        checkpoint: Some(json("[1,2]")),
    }
}

/// Completed tasks of one user, a second apart from `t0` on.
pub async fn completed(conn: &mut PgConnection, from: DateTime<Utc>, count: i64) {
    let sql = "
        insert into tasks (id, user_id, created_at, available_at, claim_order, started_at, attempt_at, ended_at, timeout_s,
                           retry_delay_s, max_retries, priority, exponential_backoff, lane, state, task_type, input)
        select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || lpad(to_hex(i), 20, '0'))::uuid,
               1, at, at, at, at, at, at, 300, 60, 3, 5, true, 'default', 'completed', 'sample', '{}'
        from generate_series(1, $2) i, lateral (select $1::timestamptz + i * interval '1 second' as at) made";
    sqlx::query(sql).bind(from).bind(count).execute(conn).await.unwrap();
}

/// Rows of a table that have been read so far, by sessions that have said so ([`report`]).
pub async fn rows_read(db: &Scratch, table: &str) -> i64 {
    let mut fresh = PgConnection::connect(&db.url).await.unwrap();
    let sql = "select (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint
               from pg_stat_user_tables where relname = $1";
    sqlx::query_scalar(sql).bind(table).fetch_one(&mut fresh).await.unwrap()
}
