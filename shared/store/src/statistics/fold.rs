//! From deltas to totals.

use sqlx::PgConnection;

use crate::{Now, Result};

/// The advisory lock of whoever folds. Any number would do; it must only be the same everywhere.
const FOLD_LOCK: i64 = 0x4861_6c79_6172_6401;

/// Folds up to `limit` of the oldest deltas into totals, hours and durations, of their user and of all users; answers
/// how many. Fewer than `limit`: there are no more for now.
///
/// One statement, and only one folder at a time: a second one answers 0 at once. No delta is counted twice, because
/// what is added up is what the same statement's `delete` has returned.
pub async fn fold(conn: &mut PgConnection, limit: i64) -> Result<i64> {
    let folded = sqlx::query_scalar!(
        r#"
        with gate as materialized (
            select pg_try_advisory_xact_lock($1) as open
        ), taken as (
            delete from stat_deltas
            where id = any (array(select d.id from stat_deltas d where (select open from gate) order by d.id limit $2))
            returning *
        ), scoped as materialized (
            select user_id as scope, t.* from taken t
            union all
            select 0, t.* from taken t
        ), totals as (
            insert into stat_totals as s
                (user_id, task_type, submitted, completed, failed, cancelled, expired, dead, timed, seconds)
            select scope, task_type, sum(submitted), sum(completed), sum(failed), sum(cancelled), sum(expired), sum(dead),
                   sum(cardinality(buckets)), sum(seconds)
            from scoped group by 1, 2 order by 1, 2
            on conflict (user_id, task_type) do update set
                submitted = s.submitted + excluded.submitted, completed = s.completed + excluded.completed,
                failed = s.failed + excluded.failed, cancelled = s.cancelled + excluded.cancelled,
                expired = s.expired + excluded.expired, dead = s.dead + excluded.dead,
                timed = s.timed + excluded.timed, seconds = s.seconds + excluded.seconds
        ), hours as (
            insert into stat_hourly as s (user_id, hour, submitted, completed, failed, ended)
            select scope, hour, sum(submitted), sum(completed), sum(failed),
                   sum(completed + failed + cancelled + expired + dead)
            from scoped group by 1, 2 order by 1, 2
            on conflict (user_id, hour) do update set
                submitted = s.submitted + excluded.submitted, completed = s.completed + excluded.completed,
                failed = s.failed + excluded.failed, ended = s.ended + excluded.ended
        ), durations as (
            insert into stat_durations as s (user_id, bucket, n)
            select scope, b, count(*) from scoped, unnest(buckets) b group by 1, 2 order by 1, 2
            on conflict (user_id, bucket) do update set n = s.n + excluded.n
        )
        select count(*) as "n!" from taken
        "#,
        FOLD_LOCK,
        limit,
    )
    .fetch_one(conn)
    .await?;
    Ok(folded)
}

/// Notes how many tasks run at this moment, of each user and of all, where it is the most seen in this hour.
pub async fn sample_running(conn: &mut PgConnection, now: Now) -> Result<()> {
    sqlx::query!(
        "with running as (select user_id, count(*)::int as n from tasks where state = 'running' group by user_id)
         insert into stat_hourly as s (user_id, hour, peak_running)
         select r.user_id, date_trunc('hour', coalesce($1::timestamptz, statement_timestamp()), 'UTC'), r.n
         from (select user_id, n from running union all select 0, sum(n) from running having count(*) > 0) r
         order by 1
         on conflict (user_id, hour) do update set peak_running = excluded.peak_running
             where s.peak_running < excluded.peak_running",
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}
