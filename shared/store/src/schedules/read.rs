//! Reading schedules.

use chrono::{DateTime, Duration, Utc};
use halyard_domain::{
    ScheduleId, UserId,
    retry::RetryPolicy,
    schedule::{Cron, Dst, ScheduleStatus, Timing, Zone},
};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{Definition, ScheduleRecord, Template};
use crate::{
    Now, Result, StoreError,
    rows::{RawJson, parse, priority, raw},
};

/// A row, with the present.
pub(super) struct Row {
    pub id: Uuid,
    pub user_id: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub next_at: Option<DateTime<Utc>>,
    pub decided_until: Option<DateTime<Utc>>,
    pub anchor: Option<DateTime<Utc>>,
    pub once_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub interval_s: Option<i32>,
    pub expires_in_s: Option<i32>,
    pub timeout_s: i32,
    pub retry_delay_s: i32,
    pub max_iterations: Option<i32>,
    pub iterations: i32,
    pub max_retries: i16,
    pub priority: i16,
    pub exponential_backoff: bool,
    pub active: bool,
    pub overlap: String,
    pub catch_up: String,
    pub dst: String,
    pub lane: String,
    pub task_type: String,
    pub expression: Option<String>,
    pub timezone: Option<String>,
    pub resources: Option<RawJson>,
    pub callbacks: Option<RawJson>,
    pub input: RawJson,
    pub now: DateTime<Utc>,
    pub open: i64,
    pub size: i64,
}

impl TryFrom<Row> for ScheduleRecord {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self> {
        let dst = parse(&row.dst)?;
        Ok(Self {
            id: ScheduleId(row.id),
            user_id: UserId(row.user_id),
            next_at: row.next_at,
            decided_until: row.decided_until,
            iterations: row.iterations,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            now: row.now,
            open: usize::try_from(row.open).unwrap_or_default(),
            size: usize::try_from(row.size).unwrap_or_default(),
            definition: Definition {
                timing: timing(&row, dst)?,
                dst,
                overlap: parse(&row.overlap)?,
                catch_up: parse(&row.catch_up)?,
                max_iterations: row.max_iterations,
                active: row.active,
                template: Template {
                    lane: parse(&row.lane)?,
                    priority: priority(row.priority)?,
                    retry: RetryPolicy {
                        max_retries: row.max_retries,
                        retry_delay: row.retry_delay_s,
                        exponential_backoff: row.exponential_backoff,
                    },
                    task_type: row.task_type,
                    input: {
                        let Json(input) = row.input;
                        input
                    },
                    resources: raw(row.resources),
                    callbacks: raw(row.callbacks),
                    timeout_s: row.timeout_s,
                    expires_in_s: row.expires_in_s,
                },
            },
        })
    }
}

/// One of the three, as the table's CHECK demands.
fn timing(row: &Row, dst: Dst) -> Result<Timing> {
    if let (Some(expression), Some(zone)) = (&row.expression, &row.timezone) {
        return Ok(Timing::Cron { cron: parse::<Cron>(expression)?, zone: parse::<Zone>(zone)?, dst });
    }
    if let (Some(seconds), Some(anchor)) = (row.interval_s, row.anchor) {
        return Ok(Timing::Interval { every: Duration::seconds(seconds.into()), anchor });
    }
    let at = row.once_at.ok_or_else(|| StoreError::Internal("a schedule without a time".into()))?;
    Ok(Timing::Once { at })
}

/// Which schedules a list holds; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// That stand so.
    pub status: Option<ScheduleStatus>,
    /// Whose runs are of this type.
    pub task_type: Option<String>,
}

/// One schedule, of `owner` if one is given; `None` when it is not there or not theirs.
pub async fn get(
    conn: &mut PgConnection,
    id: ScheduleId,
    owner: Option<UserId>,
    now: Now,
) -> Result<Option<ScheduleRecord>> {
    Ok(whole(conn, &[id], owner, now).await?.pop())
}

/// Those of these schedules that are there, and `owner`'s if one is given, in no order.
pub async fn whole(
    conn: &mut PgConnection,
    ids: &[ScheduleId],
    owner: Option<UserId>,
    now: Now,
) -> Result<Vec<ScheduleRecord>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"
        select id, user_id, created_at, updated_at, next_at, decided_until, anchor, once_at, version, interval_s,
               expires_in_s, timeout_s, retry_delay_s, max_iterations, iterations, max_retries, priority,
               exponential_backoff, active, overlap, catch_up, dst, lane, task_type, expression, timezone,
               resources as "resources: RawJson", callbacks as "callbacks: RawJson", input as "input: RawJson",
               coalesce($3::timestamptz, statement_timestamp()) as "now!", 0::bigint as "open!", 0::bigint as "size!"
        from schedules where id = any ($1) and ($2::bigint is null or user_id = $2)
        "#,
        &ids,
        owner.map(|o| o.0),
        now,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(ScheduleRecord::try_from).collect()
}

/// Schedules, newest first, of `owner` or of all, that come after `cursor` in that order. They come without what their runs
/// get: nobody asks a list for it.
pub async fn list(
    conn: &mut PgConnection,
    owner: Option<UserId>,
    filter: &Filter,
    cursor: Option<ScheduleId>,
    limit: i64,
    now: Now,
) -> Result<Vec<ScheduleRecord>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select id, user_id, created_at, updated_at, next_at, decided_until, anchor, once_at, version, interval_s,
               expires_in_s, timeout_s, retry_delay_s, max_iterations, iterations, max_retries, priority,
               exponential_backoff, active, overlap, catch_up, dst, lane, task_type, expression, timezone,
               null::json as "resources?: RawJson", null::json as "callbacks?: RawJson", '{}'::json as "input!: RawJson",
               coalesce($6::timestamptz, statement_timestamp()) as "now!", 0::bigint as "open!", 0::bigint as "size!"
        from schedules
        where ($1::bigint is null or user_id = $1) and id < $2 and ($3::text is null or task_type = $3)
          and ($4::text is null
               or $4 = case when not active then 'paused' when next_at is null then 'completed' else 'active' end)
        order by id desc limit $5
        "#,
        owner.map(|o| o.0),
        cursor.map_or(Uuid::max(), |c| c.0),
        filter.task_type,
        filter.status.map(ScheduleStatus::as_str),
        limit,
        now,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(ScheduleRecord::try_from).collect()
}
