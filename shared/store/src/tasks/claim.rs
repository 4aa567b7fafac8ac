//! Taking the best tasks of a lane.

use chrono::{DateTime, Utc};
use halyard_domain::{Lane, TaskId, UserId, retry::RetryPolicy, task::AGING_STEP};
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::{
    Now, Result,
    rows::{RawJson, raw, seconds},
};

/// What a worker asks for.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// From which lane.
    pub lane: Lane,
    /// At most so many.
    pub limit: i64,
    /// Who asks.
    pub worker_id: &'a str,
    /// On which host.
    pub worker_host: &'a str,
    /// How long the lease lasts unless it is renewed.
    pub lease: std::time::Duration,
    /// How far it looks.
    pub look: Look,
    /// Where the last claims got to; empty looks at all that waits.
    pub fronts: &'a [Front],
}

/// How far a user's tasks without a concurrency key were claimed a moment ago.
///
/// What was claimed stays in the index until it is vacuumed, so the way to the first task that waits grows with all that was
/// claimed since. A claim that is told where the last one got to begins there. It passes over whatever has come in front of that
/// meanwhile, so fronts are for lanes in which more waits than can be taken, and for no longer than such a task may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Front {
    /// Whose.
    pub user_id: UserId,
    /// The place in the lane's order of the last that was claimed.
    pub claim_order: DateTime<Utc>,
    /// Which it was: tasks of one batch have the same place.
    pub id: TaskId,
}

/// How many groups of tasks (a user's without a concurrency key, a user's with each key) a claim looks into. With more in the
/// lane it begins at another user each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// 32: what a worker begins with.
    Quick,
    /// 1,000: once a quick look has found too little. What waits for its time, or for its key, may stand before what can run.
    Thorough,
}

impl Look {
    fn groups(self) -> i32 {
        match self {
            Self::Quick => 32,
            Self::Thorough => 1_000,
        }
    }
}

/// A task that an attempt now holds.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Which.
    pub id: TaskId,
    /// Whose.
    pub user_id: UserId,
    /// Its type.
    pub task_type: String,
    /// What its code gets.
    pub input: Box<RawValue>,
    /// The number of this attempt; 1 is the first.
    pub attempt: i16,
    /// What every write of this attempt must carry.
    pub fence: i64,
    /// When a failed attempt runs again.
    pub retry: RetryPolicy,
    /// Earlier attempts that ended in failure.
    pub failures: i16,
    /// Earlier attempts that vanished.
    pub lost_leases: i16,
    /// The longest run of one try, all its slices together, in seconds.
    pub timeout_s: i32,
    /// How long the slices of this try before this one ran.
    pub spent: std::time::Duration,
    /// Not to be started after.
    pub expires_at: Option<DateTime<Utc>>,
    /// Did that pass before this claim, by the database's clock? What has begun in time goes on in its next slice.
    pub expired: bool,
    /// Did somebody ask for the task to be cancelled?
    pub cancel_requested: bool,
    /// What an earlier attempt left for this one.
    pub checkpoint: Option<Box<RawValue>>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it was due.
    pub available_at: DateTime<Utc>,
    /// When this attempt began, by the database's clock.
    pub attempt_at: DateTime<Utc>,
    /// The request that submitted it.
    pub request_id: Option<String>,
    /// That request's trace context.
    pub traceparent: Option<String>,
    /// How far its user's tasks are claimed, for the claims that follow; `None` for one with a concurrency key.
    pub front: Option<Front>,
}

/// Claims the best eligible tasks of a lane in one statement: state, attempt, fence and lease, the `running` event, and the
/// end of the doorbell that was owed. Tasks that another worker is claiming at this moment are passed over, a paused lane
/// gives none.
///
/// Users take turns: whoever has fewest running in the lane comes first, and of one user's tasks the first in the lane's
/// order. Tasks that share a concurrency key are claimed while fewer run than their limit says. Slots that are left after
/// that (other workers were at the same tasks) are filled in the lane's order, without tasks that have such a key.
#[expect(clippy::too_many_lines, reason = "most of it is one statement")]
pub async fn claim(conn: &mut PgConnection, claim: &Claim<'_>, now: Now) -> Result<Vec<Claimed>> {
    let users: Vec<_> = claim.fronts.iter().map(|front| front.user_id.0).collect();
    let orders: Vec<_> = claim.fronts.iter().map(|front| front.claim_order).collect();
    let ids: Vec<_> = claim.fronts.iter().map(|front| front.id.0).collect();
    let rows = sqlx::query!(
        r#"
        with recursive at as (
            select coalesce($6::timestamptz, statement_timestamp()) as now
        ), open as (
            -- Another user each time, in no order that anybody could use.
            select coalesce((hashint8((extract(epoch from at.now) * 1000000)::bigint) & 1023) / 1024.0
                            * (select t.user_id from tasks t
                               where t.lane = $1 and t.state in ('queued', 'scheduled', 'retrying')
                               order by t.user_id desc limit 1), 0)::bigint as start
            from at where exists (select from lanes l where l.lane = $1 and not l.paused)
        ), groups (user_id, key, most, n, start, wrapped) as (
            -- From the last of each group: the first is behind all that was claimed since the last vacuum.
            select last.user_id, last.key, last.most, 1, last.start, last.wrapped from (
                (select t.user_id, coalesce(t.concurrency_key, '') as key, t.concurrency_limit as most,
                        (select start from open) as start, false as wrapped
                 from tasks t
                 where t.lane = $1 and t.state in ('queued', 'scheduled', 'retrying')
                   and t.user_id <= (select start from open)
                 order by t.user_id desc, coalesce(t.concurrency_key, '') desc, t.claim_order desc limit 1)
                union all
                (select t.user_id, coalesce(t.concurrency_key, ''), t.concurrency_limit, (select start from open), true
                 from tasks t
                 where t.lane = $1 and t.state in ('queued', 'scheduled', 'retrying')
                   and t.user_id > (select start from open)
                 order by t.user_id desc, coalesce(t.concurrency_key, '') desc, t.claim_order desc limit 1)
                limit 1) last
            union all
            select next.user_id, next.key, next.most, groups.n + 1, groups.start, next.wrapped
            from groups, lateral (
                (select t.user_id, coalesce(t.concurrency_key, '') as key, t.concurrency_limit as most, groups.wrapped
                 from tasks t
                 where t.lane = $1 and t.state in ('queued', 'scheduled', 'retrying')
                   and (t.user_id, coalesce(t.concurrency_key, '')) < (groups.user_id, groups.key)
                   and t.user_id > case when groups.wrapped then groups.start else -9223372036854775808 end
                 order by t.user_id desc, coalesce(t.concurrency_key, '') desc, t.claim_order desc limit 1)
                union all
                (select t.user_id, coalesce(t.concurrency_key, ''), t.concurrency_limit, true
                 from tasks t
                 where t.lane = $1 and t.state in ('queued', 'scheduled', 'retrying') and not groups.wrapped
                   and t.user_id > groups.start
                 order by t.user_id desc, coalesce(t.concurrency_key, '') desc, t.claim_order desc limit 1)
                limit 1) next
            where groups.n < $8
        ), candidates as (
            select best.id, best.claim_order,
                   busy.n + row_number() over (partition by groups.user_id order by best.claim_order, best.id) as turn
            from groups
                left join unnest($9::bigint[], $10::timestamptz[], $11::uuid[]) as front (user_id, claim_order, id)
                    on front.user_id = groups.user_id and groups.key = '',
                lateral (
                    -- What was claimed stays in the index until it is vacuumed: one way past it, from the front that is known.
                    select t.claim_order, t.id from tasks t
                    where t.lane = $1 and t.state in ('queued', 'scheduled', 'retrying') and t.user_id = groups.user_id
                      and coalesce(t.concurrency_key, '') = groups.key and t.available_at <= (select now from at)
                      and (t.claim_order, t.id) > (coalesce(front.claim_order, '-infinity'),
                                                   coalesce(front.id, '00000000-0000-0000-0000-000000000000'))
                      -- Nothing beyond is due: the scan ends there.
                      and t.claim_order <= (select now from at) + make_interval(secs => $7)
                    order by t.claim_order, t.id limit 1) first,
                lateral (select count(*) as n from tasks r
                         where r.state = 'running' and r.user_id = groups.user_id and r.lane = $1) busy,
                lateral (
                    select t.id, t.claim_order from tasks t
                    where t.lane = $1 and t.state in ('queued', 'scheduled', 'retrying') and t.user_id = groups.user_id
                      and coalesce(t.concurrency_key, '') = groups.key and t.available_at <= (select now from at)
                      and (t.claim_order, t.id) >= (first.claim_order, first.id)
                      and t.claim_order <= (select now from at) + make_interval(secs => $7)
                    order by t.claim_order, t.id
                    -- Twice as many, for others may be at the first ones. For the room there is a lock: it is asked for where
                    -- something is due.
                    limit case when groups.key = '' then 2 * $2::bigint
                               else least($2, concurrency_room(groups.user_id, groups.key, groups.most)) end) best
        ), fair as (
            select mine.id
            from (select id from candidates order by turn, claim_order, id limit 2 * $2::bigint) best, lateral (
                -- That it waits is said without its state, so that no index of what waits is gone through for it.
                select t.id from tasks t
                where t.id = best.id and t.lease_until is null and t.ended_at is null
                  and t.available_at <= (select now from at)
                for update skip locked) mine
            limit $2
        ), rest as (
            select t.id from tasks t
            where exists (select from open) and t.lane = $1 and t.state in ('queued', 'scheduled', 'retrying') and t.concurrency_key is null
              and t.available_at <= (select now from at) and t.id <> all (array(select id from fair))
            order by t.claim_order, t.id
            limit $2 - (select count(*) from fair)
            for update of t skip locked
        ), picked as (
            select id from fair union all select id from rest
        ), claimed as (
            update tasks t set
                state = 'running', attempt = t.attempt + 1, fence = t.fence + 1, worker_id = $3, worker_host = $4,
                lease_until = coalesce($6, statement_timestamp()) + make_interval(secs => $5),
                attempt_at = coalesce($6, statement_timestamp()),
                started_at = coalesce(t.started_at, $6, statement_timestamp()),
                -- What is submitted from now on is not in what this task was given.
                unique_key = case when t.debounce_until is null then t.unique_key end
            -- An array, not a join: by primary key whatever the planner thinks of the number of rows.
            where t.id = any (array(select id from picked))
            returning t.id, t.user_id, t.task_type, t.input, t.attempt, t.fence, t.max_retries, t.retry_delay_s,
                      t.exponential_backoff, t.failures, t.lost_leases, t.timeout_s, t.expires_at, t.cancel_requested,
                      t.checkpoint, t.created_at, t.available_at, t.attempt_at, t.claim_order, t.request_id, t.traceparent,
                      t.spent_s, t.concurrency_key is not null as keyed
        ), answered as (
            delete from outbox where task_id = any (array(select id from picked))
        ), event as (
            insert into task_events (task_id, at, state, attempt, message)
            select id, attempt_at, 'running', attempt, 'Task started by worker ' || $3 from claimed
        )
        select id, user_id, task_type, input as "input: RawJson", attempt, fence, max_retries, retry_delay_s,
               exponential_backoff, failures, lost_leases, timeout_s, expires_at,
               coalesce(expires_at <= attempt_at, false) and attempt = 1 as "expired!", cancel_requested,
               checkpoint as "checkpoint: RawJson", created_at, available_at, attempt_at as "attempt_at!",
               request_id, traceparent, spent_s, claim_order, keyed as "keyed!"
        from claimed order by claim_order, id
        "#,
        claim.lane.as_str(),
        claim.limit,
        claim.worker_id,
        claim.worker_host,
        claim.lease.as_secs_f64(),
        now,
        (AGING_STEP * 10).as_seconds_f64(),
        claim.look.groups(),
        &users,
        &orders,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Claimed {
            id: TaskId(row.id),
            user_id: UserId(row.user_id),
            task_type: row.task_type,
            input: row.input.0,
            attempt: row.attempt,
            fence: row.fence,
            retry: RetryPolicy {
                max_retries: row.max_retries,
                retry_delay: row.retry_delay_s,
                exponential_backoff: row.exponential_backoff,
            },
            failures: row.failures,
            lost_leases: row.lost_leases,
            timeout_s: row.timeout_s,
            spent: seconds(row.spent_s).to_std().unwrap_or_default(),
            expires_at: row.expires_at,
            expired: row.expired,
            cancel_requested: row.cancel_requested,
            checkpoint: raw(row.checkpoint),
            created_at: row.created_at,
            available_at: row.available_at,
            attempt_at: row.attempt_at,
            request_id: row.request_id,
            traceparent: row.traceparent,
            front: (!row.keyed).then_some(Front {
                user_id: UserId(row.user_id),
                claim_order: row.claim_order,
                id: TaskId(row.id),
            }),
        })
        .collect())
}
