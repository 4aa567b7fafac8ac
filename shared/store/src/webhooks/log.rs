//! What became of deliveries.

use chrono::{DateTime, Duration, Utc};
use halyard_domain::{
    DeliveryId, UserId,
    webhook::{DeliveryState, SourceKind},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Now, Result};

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which.
    pub id: DeliveryId,
    /// Whose.
    pub user_id: UserId,
    /// What it tells about.
    pub source_kind: SourceKind,
    /// Which.
    pub source: Uuid,
    /// What happened to it.
    pub event: String,
    /// When.
    pub event_at: DateTime<Utc>,
    /// Where to.
    pub url: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts begun.
    pub attempts: i16,
    /// The next attempt, while it is owed.
    pub due_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Of the last answer.
    pub status_code: Option<i16>,
    /// Of the last attempt, or why there was none.
    pub error: Option<String>,
}

/// An attempt that came to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// 1 is the first.
    pub attempt: i16,
    /// The end.
    pub at: DateTime<Utc>,
    /// How long it took.
    pub ms: i32,
    /// The answer's status.
    pub status_code: Option<i16>,
    /// Why it was not taken.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub response: Option<String>,
}

/// A row with the columns of a delivery, whatever else it has, as one.
macro_rules! delivery_of {
    ($row:expr) => {
        $crate::webhooks::Delivery {
            id: halyard_domain::DeliveryId($row.id),
            user_id: halyard_domain::UserId($row.user_id),
            source_kind: $crate::rows::parse(&$row.source_kind)?,
            source: $row.source,
            event: $row.event,
            event_at: $row.event_at,
            url: $row.url,
            state: $crate::rows::parse(&$row.state)?,
            attempts: $row.attempts,
            due_at: $row.due_at,
            ended_at: $row.ended_at,
            status_code: $row.status_code,
            error: $row.error,
        }
    };
}
pub(super) use delivery_of;

/// One delivery of `owner`, or of anybody, with its attempts, oldest first.
pub async fn delivery(
    conn: &mut PgConnection,
    id: DeliveryId,
    owner: Option<UserId>,
) -> Result<Option<(Delivery, Vec<Attempt>)>> {
    let row = sqlx::query!(
        "select id, user_id, source_kind, source, event, event_at, url, state, attempts, due_at, ended_at, status_code, error
         from webhook_deliveries where id = $1 and ($2::bigint is null or user_id = $2)",
        id.0,
        owner.map(|o| o.0),
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let attempts = sqlx::query_as!(
        Attempt,
        "select attempt, at, ms, status_code, error, response from webhook_attempts where delivery_id = $1 order by attempt",
        id.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(Some((delivery_of!(row), attempts)))
}

/// What became of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// It is owed again, under the same id and with the same body.
    Owed,
    /// It has not ended: nothing to repeat.
    StillOwed,
    /// Its endpoint is disabled.
    Disabled,
    /// It has had as many attempts as are kept of one: [`MOST_ATTEMPTS`].
    TooOften,
}

/// What has had so many attempts is not replayed: they are numbered, and all of them are kept and shown.
pub const MOST_ATTEMPTS: i16 = 1_000;

/// Owes a delivery of `owner`, or of anybody, once more. `None`: there is no such delivery.
pub async fn replay(
    conn: &mut PgConnection,
    id: DeliveryId,
    owner: Option<UserId>,
    now: Now,
) -> Result<Option<Replay>> {
    let row = sqlx::query!(
        r#"
        with at as (
            select coalesce($3::timestamptz, statement_timestamp()) as now
        ), target as (
            select d.id, d.state <> 'owed' as ended, d.attempts >= $4 as spent,
                   exists (select from webhook_endpoints e where e.user_id = d.user_id and e.disabled_at is not null
                           and e.url_hash = sha256(convert_to(d.url, 'UTF8'))) as disabled
            from webhook_deliveries d where d.id = $1 and ($2::bigint is null or d.user_id = $2) for update of d
        ), owed as (
            update webhook_deliveries d set state = 'owed', ended_at = null, tries = 0, claimed = false, error = null,
                planned_at = at.now, due_at = at.now
            from target t, at where d.id = t.id and t.ended and not t.disabled and not t.spent
            returning d.id
        )
        select ended as "ended!", disabled as "disabled!", spent as "spent!", exists (select from owed) as "owed!" from target
        "#,
        id.0,
        owner.map(|o| o.0),
        now,
        MOST_ATTEMPTS,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| match row {
        row if row.owed => Replay::Owed,
        row if !row.ended => Replay::StillOwed,
        row if row.disabled => Replay::Disabled,
        _ => Replay::TooOften,
    }))
}

/// Deletes up to `limit` deliveries that ended `kept` ago with their attempts, and secrets that have expired. Answers how many
/// deliveries went.
pub async fn sweep(conn: &mut PgConnection, kept: Duration, limit: i64, now: Now) -> Result<u64> {
    let gone = sqlx::query_scalar!(
        r#"
        with at as (
            select coalesce($3::timestamptz, statement_timestamp()) as now
        ), old as (
            -- Not by a join: the index would be gone through, past what is old.
            delete from webhook_deliveries where id = any (array(
                select id from webhook_deliveries
                where state <> 'owed'
                  and ended_at < coalesce($3::timestamptz, statement_timestamp()) - make_interval(secs => $1)
                order by ended_at limit $2))
              -- Not one that is replayed at this moment.
              and ended_at is not null
            returning id
        ), attempt as (
            delete from webhook_attempts where delivery_id = any (array(select id from old))
        ), secret as (
            delete from webhook_secrets s using at where s.expires_at < at.now - interval '1 hour'
        )
        select count(*) as "n!" from old
        "#,
        kept.as_seconds_f64(),
        limit,
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(gone.unsigned_abs())
}
