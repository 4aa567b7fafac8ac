//! From owed to delivered. A notifier claims, posts, and says what became of it: three steps, of which none waits for another
//! within a transaction. One that dies in between costs the lease's time, and a second post under the same id: at least once.

use chrono::{DateTime, Duration, Utc};
use halyard_domain::{
    DeliveryId, UserId,
    webhook::{DISABLED_AFTER, DISABLED_AFTER_FAILURES, SourceKind},
};
use serde_json::value::RawValue;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Now, Result,
    rows::{RawJson, parse, seconds},
};

/// How long a claimed delivery is left alone: longer than an attempt and its commit take.
const LEASE: Duration = Duration::minutes(1);
/// Deliveries looked at for each that is wanted: some are skipped or put off.
const LOOK: i64 = 2;
/// Deliveries of an endpoint that fails which one claim takes; the others wait, so that it holds nobody up.
const PROBES: i64 = 2;
/// How long they wait, and what is due for a busy endpoint.
pub const PUT_OFF: Duration = Duration::seconds(30);

/// A delivery that the caller is to attempt.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Which; the same at every attempt.
    pub id: DeliveryId,
    /// What the outcome must carry.
    pub fence: i64,
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
    /// What it tells.
    pub data: Box<RawValue>,
    /// Attempts begun since its first was due, this one included.
    pub tries: i16,
    /// How long ago its first attempt was due.
    pub age: Duration,
    /// When the attempt began, by the database's clock.
    pub at: DateTime<Utc>,
    /// The user's secrets that count, sealed, the newest first. Empty: there is none yet.
    pub secrets: Vec<Vec<u8>>,
}

/// What one claim took.
#[derive(Debug, Clone)]
pub struct Portion {
    /// The deliveries to attempt.
    pub deliveries: Vec<Claimed>,
    /// More may be due: it looked at as many as it may, or took as many as were wanted. All that it looked at and did not leave
    /// for want of room has ended or is due later, so whoever claims until there is no more comes to an end.
    pub more: bool,
}

/// Takes up to `limit` deliveries of the longest due, each endpoint's in their order and the endpoints in turn; those that
/// another notifier takes at this moment are passed over. Those of disabled accounts and endpoints end as skipped, and of an
/// endpoint that fails only some are taken. Of the `busy` ones (user and URL) none is: what is due for them is put off.
pub async fn claim(conn: &mut PgConnection, limit: i64, busy: &[(UserId, String)], now: Now) -> Result<Portion> {
    let busy_users: Vec<i64> = busy.iter().map(|(user, _)| user.0).collect();
    let busy_urls: Vec<&str> = busy.iter().map(|(_, url)| url.as_str()).collect();
    let rows = sqlx::query!(
        r#"
        with at as (
            select coalesce($1::timestamptz, statement_timestamp()) as now
        ), locked as (
            -- Not by a join: the index would be gone through, past what is due.
            select d.id, d.user_id, d.url, d.due_at from webhook_deliveries d
            where d.state = 'owed' and d.due_at <= coalesce($1::timestamptz, statement_timestamp())
            order by d.due_at, d.id limit $2::bigint * $3::bigint for update of d skip locked
        ), judged as (
            select l.id, l.due_at, coalesce(u.status = 'active', false) as has_owner,
                   e.disabled_at is not null as is_disabled, e.failing_since is not null as fails,
                   (l.user_id, l.url) in (select * from unnest($7::bigint[], $8::text[])) as is_busy,
                   row_number() over (partition by l.user_id, l.url order by l.due_at, l.id) as nth
            from locked l left join users u on u.id = l.user_id
                left join webhook_endpoints e
                    on e.user_id = l.user_id and e.url_hash = sha256(convert_to(l.url, 'UTF8'))
        ), skipped as (
            update webhook_deliveries d set state = 'skipped', ended_at = at.now, claimed = false,
                error = case when j.has_owner then 'the endpoint is disabled' else 'the account is disabled' end
            from judged j, at where d.id = j.id and (j.is_disabled or not j.has_owner)
        ), put_off as (
            update webhook_deliveries d set due_at = at.now + make_interval(secs => $5)
            from judged j, at
            where d.id = j.id and j.has_owner and not j.is_disabled and (j.is_busy or j.fails and j.nth > $4)
        ), picked as (
            -- Each endpoint's first, then each one's second: one with much due, or slow, does not take all of the room.
            select id from judged where has_owner and not is_disabled and not is_busy and (not fails or nth <= $4)
            order by nth, due_at, id limit $2
        ), taken as (
            update webhook_deliveries d set claimed = true, fence = d.fence + 1, attempts = d.attempts + 1,
                tries = d.tries + 1, due_at = at.now + make_interval(secs => $6)
            from picked p, at where d.id = p.id
            returning d.*, at.now as at
        )
        -- One row without a delivery when none is taken: that more may be due is said then, too.
        select n.more as "more!", t.id as "id?", t.fence as "fence?", t.user_id as "user_id?",
               t.source_kind as "source_kind?", t.source as "source?", t.event as "event?", t.event_at as "event_at?",
               t.url as "url?", t.data as "data?: RawJson", t.tries as "tries?", t.at as "at?",
               extract(epoch from t.at - t.planned_at)::float8 as "age?",
               (select coalesce(array_agg(s.sealed order by s.version desc), '{}') from webhook_secrets s
                where s.user_id = t.user_id and (s.expires_at is null or s.expires_at > t.at)) as "secrets!"
        from (select (select count(*) from locked) >= $2::bigint * $3::bigint
                     or (select count(*) from taken) >= $2::bigint as more) n
            left join taken t on true
        order by t.id
        "#,
        now,
        limit,
        LOOK,
        PROBES,
        PUT_OFF.as_seconds_f64(),
        LEASE.as_seconds_f64(),
        &busy_users,
        &busy_urls as &[&str],
    )
    .fetch_all(conn)
    .await?;
    let more = rows.first().is_some_and(|row| row.more);
    let deliveries = rows.into_iter().filter_map(|row| {
        let source_kind = match parse(&row.source_kind?) {
            Ok(kind) => kind,
            Err(error) => return Some(Err(error)),
        };
        Some(Ok(Claimed {
            id: DeliveryId(row.id?),
            fence: row.fence?,
            user_id: UserId(row.user_id?),
            source_kind,
            source: row.source?,
            event: row.event?,
            event_at: row.event_at?,
            url: row.url?,
            data: row.data?.0,
            tries: row.tries?,
            age: seconds(row.age?),
            at: row.at?,
            secrets: row.secrets,
        }))
    });
    Ok(Portion { deliveries: deliveries.collect::<Result<_>>()?, more })
}

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Delivered,
    /// Another attempt after so long.
    Again(Duration),
    /// It is given up.
    Failed,
    /// It is given up, and its endpoint wants no more.
    Gone,
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Which delivery.
    pub id: DeliveryId,
    /// The attempt's fencing number.
    pub fence: i64,
    /// What becomes of it.
    pub outcome: Outcome,
    /// The answer's status.
    pub status: Option<u16>,
    /// Why it was not taken.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub response: Option<String>,
    /// How long the attempt took.
    pub took: std::time::Duration,
}

/// Notes how attempts ended, in one statement: the deliveries, the log, what is known of the endpoints. Progress that was not
/// taken and that later progress, or the end, has overtaken is not tried again. An outcome whose delivery was claimed again
/// meanwhile is refused. Answers which deliveries are to be tried again.
#[expect(clippy::too_many_lines, reason = "most of it is one statement")]
pub async fn settle(conn: &mut PgConnection, ends: &[Settled], now: Now) -> Result<Vec<DeliveryId>> {
    let column = |of: fn(&Settled) -> Option<String>| ends.iter().map(of).collect::<Vec<_>>();
    let ids: Vec<Uuid> = ends.iter().map(|e| e.id.0).collect();
    let fences: Vec<i64> = ends.iter().map(|e| e.fence).collect();
    let states: Vec<&str> = ends
        .iter()
        .map(|e| match e.outcome {
            Outcome::Delivered => "delivered",
            Outcome::Again(_) => "owed",
            Outcome::Failed | Outcome::Gone => "failed",
        })
        .collect();
    let gone: Vec<bool> = ends.iter().map(|e| e.outcome == Outcome::Gone).collect();
    let delays: Vec<Option<f64>> = ends
        .iter()
        .map(|e| match e.outcome {
            Outcome::Again(delay) => Some(delay.as_seconds_f64()),
            _ => None,
        })
        .collect();
    let statuses: Vec<Option<i16>> = ends.iter().map(|e| e.status.and_then(|s| i16::try_from(s).ok())).collect();
    let errors = column(|e| e.error.clone());
    let responses = column(|e| e.response.clone());
    let took: Vec<i32> = ends.iter().map(|e| i32::try_from(e.took.as_millis()).unwrap_or(i32::MAX)).collect();
    let rows = sqlx::query_scalar!(
        r#"
        with given as (
            select g.*, c.now
            from (select coalesce($10::timestamptz, statement_timestamp()) as now) c,
                 unnest($1::uuid[], $2::bigint[], $3::text[], $4::float8[], $5::bool[], $6::smallint[], $7::text[],
                        $8::text[], $9::int[])
                 as g (id, fence, state, delay, gone, status_code, error, response, ms)
        ), judged as (
            select g.*, d.user_id, d.url, d.attempts,
                   case when g.state = 'owed' and d.event = 'progress'
                             and exists (select from webhook_deliveries n
                                         where n.source = d.source and n.source_kind = d.source_kind and n.id <> d.id
                                           and (n.event <> 'progress' or n.sequence > d.sequence))
                        then 'superseded' else g.state end as becomes
            from given g join webhook_deliveries d on d.id = g.id
            -- That it is owed is said without its state, so that the index of what is owed is not gone through for it.
            where d.fence = g.fence and d.ended_at is null
            for update of d
        ), done as (
            update webhook_deliveries d set
                claimed = false, state = j.becomes, status_code = j.status_code, error = j.error,
                ended_at = case when j.becomes <> 'owed' then j.now end,
                due_at = case when j.becomes = 'owed' then j.now + make_interval(secs => j.delay) else d.due_at end
            from judged j where d.id = j.id
            returning d.id, d.state
        ), attempt as (
            insert into webhook_attempts (delivery_id, at, ms, attempt, status_code, error, response)
            select id, now, ms, attempts, status_code, error, response from judged
        ), endpoint as (
            select user_id, url, max(now) as now, bool_or(state = 'delivered') as took,
                   count(*) filter (where state <> 'delivered') as failures, bool_or(gone) as gone
            from judged group by user_id, url
        ), known as (
            insert into webhook_endpoints as e
                (user_id, url_hash, url, created_at, last_success_at, last_failure_at, failing_since, failures,
                 disabled_at, disabled_reason)
            select user_id, sha256(convert_to(url, 'UTF8')), url, now, case when took then now end,
                   case when failures > 0 then now end, case when not took then now end,
                   case when took then 0 else failures end, case when gone then now end, case when gone then 'gone' end
            from endpoint order by user_id, url
            on conflict (user_id, url_hash) do update set
                last_success_at = coalesce(excluded.last_success_at, e.last_success_at),
                last_failure_at = coalesce(excluded.last_failure_at, e.last_failure_at),
                failing_since = case when excluded.failing_since is not null
                                     then coalesce(e.failing_since, excluded.failing_since) end,
                failures = case when excluded.failing_since is null then 0 else e.failures + excluded.failures end,
                disabled_at = case
                    when e.disabled_at is not null then e.disabled_at
                    when excluded.disabled_at is not null then excluded.disabled_at
                    when excluded.failing_since >= e.failing_since + make_interval(secs => $11)
                         and e.failures + excluded.failures >= $12 then excluded.failing_since end,
                disabled_reason = case
                    when e.disabled_at is not null then e.disabled_reason
                    when excluded.disabled_at is not null then 'gone'
                    when excluded.failing_since >= e.failing_since + make_interval(secs => $11)
                         and e.failures + excluded.failures >= $12 then 'failing' end
            -- Ordinary success writes once a minute: those who deliver to one endpoint side by side do not queue up here.
            where excluded.failing_since is not null or excluded.disabled_at is not null or e.failing_since is not null
               or e.last_success_at is null or e.last_success_at < excluded.last_success_at - interval '1 minute'
        )
        select id from done where state = 'owed'
        "#,
        &ids,
        &fences,
        &states as &[&str],
        &delays as &[Option<f64>],
        &gone,
        &statuses as &[Option<i16>],
        &errors as &[Option<String>],
        &responses as &[Option<String>],
        &took,
        now,
        DISABLED_AFTER.as_seconds_f64(),
        DISABLED_AFTER_FAILURES,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(DeliveryId).collect())
}

/// How many deliveries are due, up to `cap`.
pub async fn overdue(conn: &mut PgConnection, cap: i64, now: Now) -> Result<i64> {
    let n = sqlx::query_scalar!(
        r#"select count(*) as "n!" from (
               select from webhook_deliveries
               where state = 'owed' and due_at <= coalesce($2::timestamptz, statement_timestamp()) limit $1) d"#,
        cap,
        now,
    );
    Ok(n.fetch_one(conn).await?)
}
