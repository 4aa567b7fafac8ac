//! Round trips per invocation: the same cases in this process, where every call of a store passes a counter.

use halyard_tests::{Actor, PrivatePostgres, PrivateRedis, TestApp, Trips};
use serde_json::json;

use crate::report::{Report, RoundTrips};

/// How often each case is counted.
const TIMES: u64 = 50;

/// Counts every case.
pub async fn count(report: &mut Report) {
    let (postgres, redis) = (PrivatePostgres::start().await, PrivateRedis::start());
    let app = TestApp::builder().postgres(&postgres).redis(&redis).without_rate_limits().counting().spawn().await;
    let admin = app.admin().await;
    app.drain().await;
    for (case, path) in [("ping", "/health/ping"), ("protected", "/api/protected"), ("stats_15000", "/tasks/stats")] {
        get(&admin, path).await;
        let trips = app.trips(TIMES, async || get(&admin, path).await).await;
        report.round_trips.push((case.to_owned(), per_one(trips)));
        if case.starts_with("stats") {
            report.round_trips.push(("stats_many".to_owned(), per_one(trips)));
        }
    }
    submit(&admin).await;
    let trips = app.trips(TIMES, async || submit(&admin).await).await;
    report.round_trips.push(("submit_paused".to_owned(), per_one(trips)));
    // The worker's part of a task, batches of ten; added to the submit's it is the whole of a task.
    let worker = app.trips(1, async || app.drain().await).await;
    let (submit, worker) = (per_one(trips), share(worker, TIMES + 1));
    report.round_trips.push(("worker, of one task in a batch".to_owned(), worker));
    report.round_trips.push((
        "tasks_end_to_end".to_owned(),
        RoundTrips {
            database: submit.database + worker.database,
            redis: submit.redis + worker.redis,
            queue: submit.queue + worker.queue,
            table: submit.table + worker.table,
        },
    ));
}

async fn get(actor: &Actor, path: &str) {
    actor.get(path).await.expect(200);
}

async fn submit(actor: &Actor) {
    actor.submit(json!({"task_type": "sample", "data": {"message": "hello"}})).await;
}

fn per_one(trips: Trips) -> RoundTrips {
    share(trips, TIMES)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn share(trips: Trips, n: u64) -> RoundTrips {
    let of = |total: u64| total as f64 / n as f64;
    RoundTrips { database: of(trips.database), redis: of(trips.redis), queue: of(trips.queue), table: of(trips.table) }
}
