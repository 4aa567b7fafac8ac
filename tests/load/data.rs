//! Tasks by the million, as if they had been submitted and run: rows, and the very deltas that the statements of submit
//! and finish append, folded by the fold that beat calls.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Ends that one finish of the worker appends as one delta (a batch of doorbells).
const BATCH: i64 = 10;
/// How many deltas one fold takes, as beat asks for.
const FOLD: i64 = 10_000;

/// Connects to the server's own database.
pub async fn connect(url: &str) -> Result<PgConnection, String> {
    PgConnection::connect(url).await.map_err(text)
}

/// Adds finished tasks until there are `total`. Types, states and durations vary; times lie in the last thirty days.
pub async fn generate(connection: &mut PgConnection, user: i64, total: i64) -> Result<(), String> {
    let there: i64 =
        sqlx::query_scalar("select count(*) from tasks").fetch_one(&mut *connection).await.map_err(text)?;
    for first in (there..total).step_by(100_000) {
        let last = total.min(first + 100_000) - 1;
        execute(connection, &tasks(user, first, last)).await?;
        execute(connection, &submits(user, first, last)).await?;
        execute(connection, &ends(user, first, last)).await?;
        while halyard_store::statistics::fold(connection, FOLD).await.map_err(|e| e.to_string())? > 0 {}
    }
    for table in ["tasks", "stat_deltas", "stat_totals", "stat_hourly", "stat_durations"] {
        execute(connection, &format!("vacuum (analyze) {table}")).await?;
    }
    execute(connection, "checkpoint").await
}

/// Forgets every task, and everything that was counted.
pub async fn clear(connection: &mut PgConnection) -> Result<(), String> {
    let tables = "tasks, task_events, outbox, workflows, workflow_steps, workflow_edges, workflow_signals, stat_deltas, stat_totals, stat_hourly, \
                  stat_durations";
    execute(connection, &format!("truncate {tables}")).await?;
    execute(connection, "checkpoint").await
}

/// The time since the epoch, by the database's clock.
pub async fn now(connection: &mut PgConnection) -> Result<Duration, String> {
    seconds(connection, "select extract(epoch from clock_timestamp())::float8").await
}

/// When the last task ended, by the same clock.
pub async fn last_end(connection: &mut PgConnection) -> Result<Duration, String> {
    seconds(connection, "select coalesce(extract(epoch from max(ended_at)), 0)::float8 from tasks").await
}

async fn seconds(connection: &mut PgConnection, statement: &'static str) -> Result<Duration, String> {
    let seconds: f64 = sqlx::query_scalar(statement).fetch_one(connection).await.map_err(text)?;
    Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())
}

/// What task number `i` is like, as SQL over `i`.
const SHAPE: &str = "(array['sample', 'user_specific', 'data_processing'])[1 + i % 3] as task_type,
    case when i % 50 = 0 then 'failed' else 'completed' end as state,
    now() - make_interval(secs => (i * 7919) % 2592000) as at,
    0.001 * power(1.0001, (i * 104729) % 80000) as seconds";

fn tasks(user: i64, first: i64, last: i64) -> String {
    format!(
        "insert into tasks (id, user_id, created_at, available_at, claim_order, fence, started_at, attempt_at, ended_at,
                            timeout_s, retry_delay_s, max_retries, priority, attempt, exponential_backoff, lane, state,
                            task_type, input, result)
         select (lpad(to_hex((extract(epoch from s.at) * 1000)::bigint), 12, '0') || lpad(to_hex(s.i), 20, '0'))::uuid,
                {user}, s.at, s.at, s.at, 1, s.at, s.at, s.at + make_interval(secs => s.seconds),
                300, 60, 3, 5, 1, true, 'default', s.state, s.task_type, '{{\"message\":\"generated\"}}', '{{\"steps\":1}}'
         from (select i, {SHAPE} from generate_series({first}::bigint, {last}::bigint) i) s"
    )
}

fn submits(user: i64, first: i64, last: i64) -> String {
    format!(
        "insert into stat_deltas (user_id, hour, submitted, task_type)
         select {user}, date_trunc('hour', s.at, 'UTC'), 1, s.task_type
         from (select i, {SHAPE} from generate_series({first}::bigint, {last}::bigint) i) s"
    )
}

fn ends(user: i64, first: i64, last: i64) -> String {
    format!(
        "insert into stat_deltas (user_id, hour, completed, failed, seconds, buckets, task_type)
         select {user}, date_trunc('hour', s.at + make_interval(secs => s.seconds), 'UTC'),
                count(*) filter (where s.state = 'completed'), count(*) filter (where s.state = 'failed'),
                sum(s.seconds), array_agg(duration_bucket(s.seconds::double precision)), s.task_type
         from (select i, {SHAPE} from generate_series({first}::bigint, {last}::bigint) i) s
         group by i / {BATCH}, 2, s.task_type"
    )
}

async fn execute(connection: &mut PgConnection, sql: &str) -> Result<(), String> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop).map_err(|e| format!("{e}: {sql}"))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: sqlx::Error) -> String {
    error.to_string()
}
