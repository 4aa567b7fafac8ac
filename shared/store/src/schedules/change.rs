//! What owners do to their schedules.

use chrono::{DateTime, Utc};
use halyard_domain::{
    ScheduleId, UserId,
    schedule::{MOST, Timing},
};
use serde_json::value::RawValue;
use sqlx::PgConnection;

use super::Definition;
use crate::{Now, Result};

/// The timing, column by column.
struct TimingColumns<'a> {
    kind: &'static str,
    expression: Option<String>,
    timezone: Option<&'a str>,
    interval_s: Option<i32>,
    anchor: Option<DateTime<Utc>>,
    once_at: Option<DateTime<Utc>>,
}

impl<'a> TimingColumns<'a> {
    fn of(timing: &'a Timing) -> Self {
        let none = Self { kind: "", expression: None, timezone: None, interval_s: None, anchor: None, once_at: None };
        match timing {
            Timing::Cron { cron, zone, .. } => {
                Self { kind: "cron", expression: Some(cron.to_string()), timezone: Some(zone.name()), ..none }
            }
            Timing::Interval { every, anchor } => {
                let seconds = i32::try_from(every.num_seconds()).unwrap_or(i32::MAX);
                Self { kind: "interval", interval_s: Some(seconds), anchor: Some(*anchor), ..none }
            }
            Timing::Once { at } => Self { kind: "once", once_at: Some(*at), ..none },
        }
    }
}

fn text(json: Option<&RawValue>) -> Option<&str> {
    json.map(RawValue::get)
}

/// The present, as the database sees it, and a free place among the user's schedules; `None` when they have as many as they may.
pub async fn place(conn: &mut PgConnection, user: UserId, now: Now) -> Result<(DateTime<Utc>, Option<i16>)> {
    let row = sqlx::query!(
        r#"
        select coalesce($3::timestamptz, statement_timestamp()) as "now!",
               (select min(n)::smallint from generate_series(1, $2::int) as g (n)
                where n not in (select place from schedules where user_id = $1)) as place
        "#,
        user.0,
        i32::from(MOST),
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.now, row.place))
}

/// Adds a schedule.
///
/// # Errors
/// `Conflict(SchedulePlaceTaken)` when another one took the place meanwhile: ask [`place`] again.
pub async fn create(
    conn: &mut PgConnection,
    id: ScheduleId,
    user: UserId,
    place: i16,
    definition: &Definition,
    next_at: Option<DateTime<Utc>>,
    at: DateTime<Utc>,
) -> Result<()> {
    let Definition { template, .. } = definition;
    let timing = TimingColumns::of(&definition.timing);
    sqlx::query!(
        r#"
        insert into schedules (id, user_id, place, created_at, updated_at, next_at, kind, expression, timezone, interval_s,
                               anchor, once_at, dst, overlap, catch_up, max_iterations, active, task_type, lane, priority,
                               input, resources, callbacks, max_retries, retry_delay_s, exponential_backoff, timeout_s,
                               expires_in_s)
        values ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20::text::json,
                $21::text::json, $22::text::json, $23, $24, $25, $26, $27)
        "#,
        id.0,
        user.0,
        place,
        at,
        next_at,
        timing.kind,
        timing.expression,
        timing.timezone,
        timing.interval_s,
        timing.anchor,
        timing.once_at,
        definition.dst.as_str(),
        definition.overlap.as_str(),
        definition.catch_up.as_str(),
        definition.max_iterations,
        definition.active,
        template.task_type,
        template.lane.as_str(),
        template.priority.get(),
        template.input.get(),
        text(template.resources.as_deref()),
        text(template.callbacks.as_deref()),
        template.retry.max_retries,
        template.retry.retry_delay,
        template.retry.exponential_backoff,
        template.timeout_s,
        template.expires_in_s,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a change starts from: it holds only if the schedule is still so.
#[derive(Debug, Clone, Copy)]
pub struct Read {
    /// Its version.
    pub version: i64,
    /// How far beat has come.
    pub decided_until: Option<DateTime<Utc>>,
}

/// Changes what its owner says of a schedule, if it is still as it was `read`; gives the new version. The type of its runs stays.
pub async fn update(
    conn: &mut PgConnection,
    id: ScheduleId,
    read: Read,
    definition: &Definition,
    next_at: Option<DateTime<Utc>>,
    at: DateTime<Utc>,
) -> Result<Option<i64>> {
    let Definition { template, .. } = definition;
    let timing = TimingColumns::of(&definition.timing);
    let version = sqlx::query_scalar!(
        r#"
        update schedules set
            version = version + 1, updated_at = $4, next_at = $5, kind = $6, expression = $7, timezone = $8,
            interval_s = $9, anchor = $10, once_at = $11, dst = $12, overlap = $13, catch_up = $14, max_iterations = $15,
            active = $16, lane = $17, priority = $18, input = $19::text::json, resources = $20::text::json,
            callbacks = $21::text::json, max_retries = $22, retry_delay_s = $23, exponential_backoff = $24,
            timeout_s = $25, expires_in_s = $26
        where id = $1 and version = $2 and decided_until is not distinct from $3
        returning version
        "#,
        id.0,
        read.version,
        read.decided_until,
        at,
        next_at,
        timing.kind,
        timing.expression,
        timing.timezone,
        timing.interval_s,
        timing.anchor,
        timing.once_at,
        definition.dst.as_str(),
        definition.overlap.as_str(),
        definition.catch_up.as_str(),
        definition.max_iterations,
        definition.active,
        template.lane.as_str(),
        template.priority.get(),
        template.input.get(),
        text(template.resources.as_deref()),
        text(template.callbacks.as_deref()),
        template.retry.max_retries,
        template.retry.retry_delay,
        template.retry.exponential_backoff,
        template.timeout_s,
        template.expires_in_s,
    )
    .fetch_optional(conn)
    .await?;
    Ok(version)
}

/// Deletes a schedule, of `owner` if one is given, with what is known of its runs. Their tasks stay.
pub async fn delete(conn: &mut PgConnection, id: ScheduleId, owner: Option<UserId>) -> Result<bool> {
    let done = sqlx::query!(
        "delete from schedules where id = $1 and ($2::bigint is null or user_id = $2)",
        id.0,
        owner.map(|o| o.0)
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}
