//! Lanes: pauses, and what waits in them.

use chrono::{DateTime, Utc};
use halyard_domain::{Lane, UserId};
use sqlx::PgConnection;

use crate::{Now, Result, audit, rows::parse};

/// Tasks beyond this number are not counted: a long queue costs no more to look at than this.
pub const COUNT_CAP: i64 = 10_000;

/// How full a lane is. Each number stops at [`COUNT_CAP`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneDepth {
    /// Which.
    pub lane: Lane,
    /// Does it hold what it accepts?
    pub paused: bool,
    /// Does it take nothing new from clients?
    pub draining: bool,
    /// Tasks that could start now.
    pub ready: i64,
    /// Tasks whose time is to come.
    pub waiting: i64,
    /// Tasks that run.
    pub running: i64,
    /// Since when the longest waiting of those that could start has been due.
    pub oldest_ready_at: Option<DateTime<Utc>>,
}

/// Pauses a lane, which is audited: it accepts and holds. What runs goes on. One that is paused already stays as it is.
pub async fn pause(conn: &mut PgConnection, lane: Lane, entry: &audit::Entry<'_>, now: Now) -> Result<()> {
    sqlx::query!(
        "with paused as (
             update lanes set paused = true, paused_at = coalesce($2::timestamptz, statement_timestamp()), paused_by = $3
             where lane = $1 and not paused returning paused_at as at
         )
         select keep_audit(at, $3, $4, $5, $6, $7) from paused",
        lane.as_str(),
        now,
        entry.actor.map(|a| a.0),
        entry.action,
        entry.target,
        entry.detail,
        entry.request_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

/// Drains a lane, which is audited: it takes nothing new from clients, and runs what it has. One that is drained already stays
/// as it is.
pub async fn drain(conn: &mut PgConnection, lane: Lane, entry: &audit::Entry<'_>, now: Now) -> Result<()> {
    sqlx::query!(
        "with drained as (
             update lanes set draining = true, drained_by = $3 where lane = $1 and not draining
             returning coalesce($2::timestamptz, statement_timestamp()) as at
         )
         select keep_audit(at, $3, $4, $5, $6, $7) from drained",
        lane.as_str(),
        now,
        entry.actor.map(|a| a.0),
        entry.action,
        entry.target,
        entry.detail,
        entry.request_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

/// How many tasks wait in a lane, of one user or of all; counted up to `cap`.
pub async fn waiting(conn: &mut PgConnection, lane: Lane, user: Option<UserId>, cap: i64) -> Result<i64> {
    let n = if let Some(user) = user {
        sqlx::query_scalar!(
            r#"
            select count(*) as "n!" from (
                select from tasks
                where lane = $1 and user_id = $2 and state in ('queued', 'scheduled', 'retrying') limit $3) w
            "#,
            lane.as_str(),
            user.0,
            cap,
        )
        .fetch_one(conn)
        .await?
    } else {
        sqlx::query_scalar!(
            r#"
            select count(*) as "n!" from (
                select from tasks where lane = $1 and state in ('queued', 'scheduled', 'retrying') limit $2) w
            "#,
            lane.as_str(),
            cap,
        )
        .fetch_one(conn)
        .await?
    };
    Ok(n)
}

/// Ends a pause, or a drain, which is audited. Doorbells that beat has put off become due at once, the first [`COUNT_CAP`] of them:
/// they found nothing to take. What was accepted meanwhile is due as it stands, however much that is: the caller rings for it.
pub async fn resume(conn: &mut PgConnection, lane: Lane, entry: &audit::Entry<'_>, now: Now) -> Result<()> {
    sqlx::query!(
        "with at as (
             select coalesce($2::timestamptz, statement_timestamp()) as now
         ), resumed as (
             update lanes set paused = false, paused_at = null, paused_by = null, draining = false, drained_by = null
             where lane = $1 and (paused or draining) returning lane
         ), rung as (
             update outbox o set ring_at = greatest(o.due_at, at.now), rings = 0
             from at
             where o.task_id = any (array(
                 select b.task_id from resumed r, at, outbox b
                 -- Beat puts off by a quarter of an hour at most (outbox::overdue).
                 where b.lane = r.lane and b.rings > 0 and b.ring_at > at.now and b.ring_at <= at.now + interval '15 minutes'
                 order by b.ring_at limit $8 for update of b skip locked))
         )
         select keep_audit(at.now, $3, $4, $5, $6, $7) from resumed, at",
        lane.as_str(),
        now,
        entry.actor.map(|a| a.0),
        entry.action,
        entry.target,
        entry.detail,
        entry.request_id,
        COUNT_CAP,
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

/// The lanes that are paused.
pub async fn paused(conn: &mut PgConnection) -> Result<Vec<Lane>> {
    let rows = sqlx::query_scalar!("select lane from lanes where paused order by lane").fetch_all(conn).await?;
    rows.iter().map(|lane| parse(lane)).collect()
}

/// Lanes, paused ones left out, in which tasks have been due for longer than `grace`, with how many (at most
/// [`COUNT_CAP`]).
/// A lane of these whose queue is empty needs a doorbell, whatever the outbox says. Tasks with a concurrency key may have to
/// wait for others, and do not count.
pub async fn needing_doorbell(conn: &mut PgConnection, grace: chrono::Duration, now: Now) -> Result<Vec<(Lane, i64)>> {
    let rows = sqlx::query!(
        r#"
        select l.lane, w.n as "n!"
        from lanes l, lateral (
            select count(*) as n from (
                select from tasks t
                where t.lane = l.lane and t.state in ('queued', 'scheduled', 'retrying') and t.concurrency_key is null
                  and t.available_at <= coalesce($2::timestamptz, statement_timestamp()) - make_interval(secs => $1)
                order by t.claim_order limit $3) due) w
        where not l.paused and w.n > 0
        "#,
        grace.as_seconds_f64(),
        now,
        COUNT_CAP,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| Ok((parse(&row.lane)?, row.n))).collect()
}

/// How full the lanes are, in the order of [`Lane::ALL`].
pub async fn depths(conn: &mut PgConnection, now: Now) -> Result<Vec<LaneDepth>> {
    let rows = sqlx::query!(
        r#"
        select l.lane, l.paused, l.draining, w.ready as "ready!", w.waiting as "waiting!", w.oldest,
               (select count(*) from tasks r where r.state = 'running' and r.lane = l.lane) as "running!"
        from lanes l, lateral (
            select count(*) filter (where due) as ready, count(*) filter (where not due) as waiting,
                   least(min(available_at) filter (where due), (
                       -- Of a lane that is fuller than what is counted, the first in its order.
                       select t.available_at from tasks t
                       where t.lane = l.lane and t.state in ('queued', 'scheduled', 'retrying')
                         and t.concurrency_key is null
                         and t.available_at <= coalesce($2::timestamptz, statement_timestamp())
                       order by t.claim_order limit 1)) as oldest
            from (
                select t.available_at, t.available_at <= coalesce($2::timestamptz, statement_timestamp()) as due
                from tasks t where t.lane = l.lane and t.state in ('queued', 'scheduled', 'retrying')
                limit $1) x) w
        "#,
        COUNT_CAP,
        now,
    )
    .fetch_all(conn)
    .await?;
    let mut depths = rows
        .into_iter()
        .map(|row| {
            Ok(LaneDepth {
                lane: parse(&row.lane)?,
                paused: row.paused,
                draining: row.draining,
                ready: row.ready,
                waiting: row.waiting,
                running: row.running,
                oldest_ready_at: row.oldest,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    depths.sort_by_key(|d| d.lane);
    Ok(depths)
}
