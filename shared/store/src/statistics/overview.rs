//! Totals and the deltas not folded yet, added up.

use chrono::{DateTime, Duration, Utc};
use halyard_domain::{UserId, histogram};
use sqlx::{PgConnection, types::Json};

use crate::{Now, Result, nodes, statistics::fold};

/// With more unfolded deltas than this, a reader folds some: what is added up stays bounded between two beats, too.
const FOLD_BEYOND: i64 = 50;
/// How many it folds.
const FOLD_AT_ONCE: i64 = 5_000;
/// What "lately" means for rates and peaks.
const WINDOW: Duration = Duration::hours(24);

/// Tasks, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Accepted.
    pub submitted: i64,
    /// Ended well.
    pub completed: i64,
    /// Their code gave up.
    pub failed: i64,
    /// Cancelled.
    pub cancelled: i64,
    /// Expired.
    pub expired: i64,
    /// The platform gave up.
    pub dead: i64,
}

impl Counts {
    /// In a terminal state.
    pub fn ended(&self) -> i64 {
        self.completed + self.failed + self.cancelled + self.expired + self.dead
    }

    /// completed / (completed + failed + dead); `None` before the first of these.
    pub fn success_rate(&self) -> Option<f64> {
        ratio(self.completed, self.completed + self.failed + self.dead)
    }
}

/// One type's part.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeStats {
    /// The type.
    pub task_type: String,
    /// Its tasks.
    pub counts: Counts,
    /// Mean duration of the last attempts of its completed and failed tasks, in seconds.
    pub avg_seconds: Option<f64>,
}

/// A worker seen lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStats {
    /// Its node id, which is the `worker_id` of its tasks.
    pub worker_id: String,
    /// Tasks that it runs side by side, if it said so.
    pub capacity: Option<i32>,
    /// Tasks that it runs now.
    pub current_tasks: i64,
    /// Tasks that ended there so far, as of its last heartbeat.
    pub processed: i64,
}

/// All numbers of `/tasks/stats`. Measured; what cannot be known is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct StatsOverview {
    /// All types together.
    pub counts: Counts,
    /// Running now.
    pub running: i64,
    /// Accepted, neither ended nor running.
    pub queued: i64,
    /// Mean duration of the last attempts of completed and failed tasks, in seconds.
    pub avg_seconds: Option<f64>,
    /// Their median, from the histogram of `domain::histogram` (within 4.5 %).
    pub median_seconds: Option<f64>,
    /// Tasks that ended per hour: over the last 24 hours, or since the first of them if that was later, but over no
    /// less than one hour.
    pub tasks_per_hour: Option<f64>,
    /// The most tasks seen running at once in the last 24 hours, sampled every minute and now.
    pub peak_running: Option<i64>,
    /// By type, most tasks first.
    pub by_type: Vec<TypeStats>,
    /// Active workers, by id. Of all users, whatever the scope.
    pub workers: Vec<WorkerStats>,
    /// Tasks that run now, of all users: what the workers' load is computed from.
    pub running_of_all: i64,
}

type TypeRow = (String, i64, i64, i64, i64, i64, i64, i64, f64);
type HourRow = (DateTime<Utc>, i64, i64);
type WorkerRow = (String, Option<i32>, i64, i64);

/// The statistics of one user, or of all, in one statement (and a second one that folds, when much is unfolded).
#[expect(clippy::too_many_lines, reason = "one statement")]
pub async fn overview(conn: &mut PgConnection, scope: Option<UserId>, now: Now) -> Result<StatsOverview> {
    let row = sqlx::query!(
        r#"
        with fresh as materialized (
            select user_id, task_type, hour, submitted, completed, failed, cancelled, expired, dead, seconds, buckets
            from stat_deltas
        ), mine as materialized (
            select * from fresh where $1::bigint is null or user_id = $1
        ), types as (
            select task_type, sum(submitted)::bigint as submitted, sum(completed)::bigint as completed,
                   sum(failed)::bigint as failed, sum(cancelled)::bigint as cancelled, sum(expired)::bigint as expired,
                   sum(dead)::bigint as dead, sum(timed)::bigint as timed, sum(seconds) as seconds
            from (
                select task_type, submitted, completed, failed, cancelled, expired, dead, timed, seconds
                from stat_totals where user_id = coalesce($1, 0)
                union all
                select task_type, submitted, completed, failed, cancelled, expired, dead, cardinality(buckets), seconds
                from mine) x
            group by task_type
        ), durations as (
            select bucket, sum(n)::bigint as n
            from (
                select bucket, n from stat_durations where user_id = coalesce($1, 0)
                union all
                select b, 1 from mine, unnest(buckets) b) x
            group by bucket
        ), hours as (
            select hour, sum(ended)::bigint as ended, max(peak) as peak
            from (
                select hour, ended, peak_running as peak from stat_hourly where user_id = coalesce($1, 0)
                union all
                select hour, completed + failed + cancelled + expired + dead, 0 from mine) x
            where hour > coalesce($2::timestamptz, statement_timestamp()) - make_interval(secs => $3)
            group by hour
        ), running as materialized (
            select user_id, worker_id from tasks where state = 'running'
        )
        select
            coalesce($2, statement_timestamp()) as "now!",
            (select count(*) from fresh) as "unfolded!",
            (select json_agg(json_build_array(task_type, submitted, completed, failed, cancelled, expired, dead, timed,
                                              seconds) order by submitted desc, task_type)
             from types) as "types: Json<Vec<TypeRow>>",
            (select json_agg(json_build_array(bucket, n) order by bucket) from durations)
                as "durations: Json<Vec<(i16, i64)>>",
            (select json_agg(json_build_array(hour, ended, peak) order by hour) from hours) as "hours: Json<Vec<HourRow>>",
            (select count(*) from running where $1 is null or user_id = $1) as "running!",
            (select count(*) from running) as "running_of_all!",
            (select json_agg(json_build_array(n.node_id, n.capacity,
                                              (select count(*) from running r where r.worker_id = n.node_id), n.processed)
                             order by n.node_id)
             from nodes n
             where n.role = 'worker'
               and n.last_seen > coalesce($2, statement_timestamp()) - make_interval(secs => $4)) as "workers: Json<Vec<WorkerRow>>"
        "#,
        scope.map(|u| u.0),
        now,
        WINDOW.as_seconds_f64(),
        nodes::ACTIVE.as_seconds_f64(),
    )
    .fetch_one(&mut *conn)
    .await?;
    if row.unfolded > FOLD_BEYOND {
        // The numbers are right without it; that it could not be done is the next reader's, or beat's, to mend.
        if let Err(error) = fold(conn, FOLD_AT_ONCE).await {
            tracing::warn!(%error, "deltas could not be folded");
        }
    }
    let types = row.types.map_or_else(Vec::new, |t| t.0);
    let hours = row.hours.map_or_else(Vec::new, |h| h.0);
    let durations = row.durations.map_or_else(Vec::new, |d| d.0);
    let counts = types.iter().fold(Counts::default(), |a, t| Counts {
        submitted: a.submitted + t.1,
        completed: a.completed + t.2,
        failed: a.failed + t.3,
        cancelled: a.cancelled + t.4,
        expired: a.expired + t.5,
        dead: a.dead + t.6,
    });
    let timed: i64 = types.iter().map(|t| t.7).sum();
    let seconds: f64 = types.iter().map(|t| t.8).sum();
    Ok(StatsOverview {
        counts,
        running: row.running,
        queued: (counts.submitted - counts.ended() - row.running).max(0),
        avg_seconds: mean(seconds, timed),
        median_seconds: histogram::quantile(&durations, 0.5),
        tasks_per_hour: per_hour(&hours, row.now),
        peak_running: hours.iter().map(|h| h.2).chain([row.running]).max().filter(|&n| n > 0),
        by_type: types
            .into_iter()
            .map(|t| TypeStats {
                task_type: t.0,
                counts: Counts { submitted: t.1, completed: t.2, failed: t.3, cancelled: t.4, expired: t.5, dead: t.6 },
                avg_seconds: mean(t.8, t.7),
            })
            .collect(),
        workers: row
            .workers
            .map_or_else(Vec::new, |w| w.0)
            .into_iter()
            .map(|(worker_id, capacity, current_tasks, processed)| WorkerStats {
                worker_id,
                capacity,
                current_tasks,
                processed,
            })
            .collect(),
        running_of_all: row.running_of_all,
    })
}

/// What one user has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserStats {
    /// Their tasks.
    pub counts: Counts,
    /// When they handed in the last one.
    pub last_submitted_at: Option<DateTime<Utc>>,
    /// Their calls of the API, up to the minute `calls_folded`.
    pub calls: i64,
    /// Up to which minute calls are counted here; later ones are in Redis (`halyard_domain::api_calls`).
    pub calls_folded: i64,
}

/// What `user` has done, exactly.
pub async fn of_user(conn: &mut PgConnection, user: UserId) -> Result<UserStats> {
    let row = sqlx::query!(
        r#"
        select coalesce(sum(submitted), 0)::bigint as "submitted!", coalesce(sum(completed), 0)::bigint as "completed!",
               coalesce(sum(failed), 0)::bigint as "failed!", coalesce(sum(cancelled), 0)::bigint as "cancelled!",
               coalesce(sum(expired), 0)::bigint as "expired!", coalesce(sum(dead), 0)::bigint as "dead!",
               (select created_at from tasks where user_id = $1 order by id desc limit 1) as last_submitted,
               coalesce((select calls from api_calls where user_id = $1), 0) as "calls!",
               (select minute from api_calls_folded) as "calls_folded!"
        from (
            select submitted, completed, failed, cancelled, expired, dead from stat_totals where user_id = $1
            union all
            select submitted, completed, failed, cancelled, expired, dead from stat_deltas where user_id = $1) x
        "#,
        user.0,
    )
    .fetch_one(conn)
    .await?;
    let counts = Counts {
        submitted: row.submitted,
        completed: row.completed,
        failed: row.failed,
        cancelled: row.cancelled,
        expired: row.expired,
        dead: row.dead,
    };
    let (calls, calls_folded) = (row.calls, row.calls_folded);
    Ok(UserStats { counts, last_submitted_at: row.last_submitted, calls, calls_folded })
}

fn per_hour(hours: &[HourRow], now: DateTime<Utc>) -> Option<f64> {
    let first = hours.iter().find(|h| h.1 > 0)?.0.max(now - WINDOW);
    let ended: i64 = hours.iter().map(|h| h.1).sum();
    mean_f64(ended, ((now - first).as_seconds_f64() / 3600.0).max(1.0))
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn mean(sum: f64, n: i64) -> Option<f64> {
    (n > 0).then(|| sum / n as f64)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn mean_f64(n: i64, over: f64) -> Option<f64> {
    (over > 0.0).then(|| n as f64 / over)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn ratio(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
