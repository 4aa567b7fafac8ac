//! Statistics against a count of everything.
#![allow(clippy::unwrap_used, clippy::cast_possible_wrap, clippy::cast_sign_loss, clippy::cast_possible_truncation)]
#![allow(clippy::cast_precision_loss, reason = "small numbers")]

use super::scratch::{Scratch, finished, retry, s, t0};
use halyard_domain::{Lane, UserId, histogram, task::TaskState};
use halyard_store::{statistics, tasks};

/// A few hundred tasks of three users and two types, ended in all ways, some running, some waiting.
async fn history(db: &Scratch) {
    let conn = &mut *db.pool.acquire().await.unwrap();
    let many: Vec<_> = (0..300_i64)
        .map(|i| {
            let mut task = db.task(1 + i % 3, 5, t0() + s(i));
            if i % 7 == 0 {
                task.task_type = "data_processing".into();
            }
            task
        })
        .collect();
    for (i, chunk) in many.chunks(20).enumerate() {
        tasks::submit_many(conn, chunk, Some(t0() + s(400 * i as i64))).await.unwrap();
    }
    let ends = [
        TaskState::Completed,
        TaskState::Failed,
        TaskState::Completed,
        TaskState::Dead,
        TaskState::Cancelled,
        TaskState::Expired,
    ];
    for round in 0..27_i64 {
        let start = t0() + s(400 * round);
        let claimed = db.claim(Lane::Default, 10, start).await;
        let given: Vec<_> = claimed
            .iter()
            .enumerate()
            .map(|(i, c)| if i == 9 { retry(c, s(9000)) } else { finished(c, ends[(i + round as usize) % ends.len()]) })
            .collect();
        tasks::finish(conn, &given, Some(start + chrono::Duration::milliseconds(37 * (round + 1)))).await.unwrap();
    }
    db.claim(Lane::Default, 10, t0() + s(400 * 27)).await;
    statistics::sample_running(conn, Some(t0() + s(400 * 27))).await.unwrap();
}

async fn check(db: &Scratch, scope: Option<i64>) {
    let conn = &mut *db.pool.acquire().await.unwrap();
    let now = t0() + s(400 * 28);
    let seen = statistics::overview(conn, scope.map(UserId), Some(now)).await.unwrap();
    let brute: (i64, i64, i64, i64, i64, i64, i64, i64, f64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (where state = 'completed'), count(*) filter (where state = 'failed'),
                count(*) filter (where state = 'cancelled'), count(*) filter (where state = 'expired'),
                count(*) filter (where state = 'dead'), count(*) filter (where state = 'running'),
                count(*) filter (where state in ('queued', 'scheduled', 'retrying')),
                avg(extract(epoch from ended_at - attempt_at)) filter (where state in ('completed', 'failed'))::float8,
                count(*) filter (where ended_at > $2 - interval '24 hours')
         from tasks where $1::bigint is null or user_id = $1",
    )
    .bind(scope)
    .bind(now)
    .fetch_one(&mut *conn)
    .await
    .unwrap();
    let c = seen.counts;
    assert_eq!(
        (c.submitted, c.completed, c.failed, c.cancelled, c.expired, c.dead, seen.running, seen.queued),
        (brute.0, brute.1, brute.2, brute.3, brute.4, brute.5, brute.6, brute.7)
    );
    assert!((seen.avg_seconds.unwrap() - brute.8).abs() < 1e-9);
    let durations: Vec<f64> = sqlx::query_scalar(
        "select extract(epoch from ended_at - attempt_at)::float8 from tasks
         where state in ('completed', 'failed') and ($1::bigint is null or user_id = $1) order by 1",
    )
    .bind(scope)
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    let median = durations[durations.len().div_ceil(2) - 1];
    assert!((seen.median_seconds.unwrap() / median - 1.0).abs() < 0.046, "{:?} {median}", seen.median_seconds);
    let hours = 400.0 * 28.0 / 3600.0 + 245.678_901 / 3600.0; // since the start of the first hour
    assert!((seen.tasks_per_hour.unwrap() - brute.9 as f64 / hours).abs() < 1e-6, "{:?}", seen.tasks_per_hour);
    let by_type: Vec<(String, i64, i64)> = sqlx::query_as(
        "select task_type, count(*), count(*) filter (where state = 'completed')
         from tasks where $1::bigint is null or user_id = $1 group by 1 order by 2 desc",
    )
    .bind(scope)
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    let seen_types: Vec<_> =
        seen.by_type.iter().map(|t| (t.task_type.clone(), t.counts.submitted, t.counts.completed)).collect();
    assert_eq!(seen_types, by_type);
    assert_eq!(seen.peak_running, Some(brute.6));
    if let Some(user) = scope {
        assert_eq!(statistics::of_user(conn, UserId(user)).await.unwrap().counts, c);
    }
}

#[tokio::test]
async fn the_overview_equals_a_count_of_everything_before_during_and_after_folds() {
    let db = Scratch::new().await;
    history(&db).await;
    for limit in [0, 1, 50, 10_000, 10_000] {
        statistics::fold(&mut db.pool.acquire().await.unwrap(), limit).await.unwrap();
        for scope in [None, Some(1), Some(2), Some(3)] {
            check(&db, scope).await;
        }
    }
    assert_eq!(db.count("select count(*) from stat_deltas").await, 0);
    db.done().await;
}

#[tokio::test]
async fn folders_at_once_count_nothing_twice() {
    let db = Scratch::new().await;
    history(&db).await;
    let deltas = db.count("select count(*) from stat_deltas").await;
    let folded = futures::future::join_all((0..8).map(|_| async {
        let mut sum = 0;
        for _ in 0..40 {
            sum += statistics::fold(&mut db.pool.acquire().await.unwrap(), 7).await.unwrap();
        }
        sum
    }))
    .await;
    assert_eq!(folded.iter().sum::<i64>() + db.count("select count(*) from stat_deltas").await, deltas);
    for scope in [None, Some(1)] {
        check(&db, scope).await;
    }
    // One holds the gate in an open transaction: the other does nothing and does not wait.
    let mut first = db.pool.acquire().await.unwrap();
    let mut open = sqlx::Connection::begin(&mut *first).await.unwrap();
    statistics::fold(&mut open, 1).await.unwrap();
    assert_eq!(statistics::fold(&mut db.pool.acquire().await.unwrap(), 10).await.unwrap(), 0);
    open.commit().await.unwrap();
    drop(first);
    db.done().await;
}

#[tokio::test]
async fn an_empty_system_knows_nothing_and_says_so() {
    let db = Scratch::new().await;
    let seen = statistics::overview(&mut db.pool.acquire().await.unwrap(), None, None).await.unwrap();
    assert_eq!(seen.counts, statistics::Counts::default());
    assert_eq!(
        (seen.avg_seconds, seen.median_seconds, seen.tasks_per_hour, seen.peak_running),
        (None, None, None, None)
    );
    assert!(seen.by_type.is_empty() && seen.workers.is_empty());
    db.done().await;
}

#[tokio::test]
async fn the_database_and_the_domain_share_their_buckets() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    for seconds in [0.0, 0.000_5, 0.001, 0.001_1, 0.002_1, 0.05, 0.999, 1.5, 3600.0, 1e6, 1e12] {
        let bucket: i16 =
            sqlx::query_scalar("select duration_bucket($1)").bind(seconds).fetch_one(&mut *conn).await.unwrap();
        assert_eq!(bucket, histogram::bucket(seconds), "{seconds}");
    }
    db.done().await;
}

#[tokio::test]
async fn of_those_who_fold_the_same_calls_at_once_one_does() {
    let db = Scratch::new().await;
    let calls = [(UserId(1), 3), (UserId(2), 5)].into();
    let fold = async |from, to| {
        let conn = &mut *db.pool.acquire().await.unwrap();
        statistics::fold_calls(conn, from, to, &calls).await.unwrap()
    };
    let folded = futures::future::join_all((0..8).map(|_| fold(0, 7))).await;
    assert_eq!(folded.iter().filter(|done| **done).count(), 1);
    assert!(fold(7, 9).await && !fold(7, 9).await);
    let conn = &mut *db.pool.acquire().await.unwrap();
    let stats = statistics::of_user(conn, UserId(2)).await.unwrap();
    assert_eq!((stats.calls, stats.calls_folded), (10, 9));
    assert_eq!(statistics::of_user(conn, UserId(3)).await.unwrap().calls, 0);
}
