//! A day, beat by beat.

use chrono::Duration;
use halyard_tests::TestApp;
use serde_json::json;

use super::{body, cron, every, made, shown};

/// Every beat of the night in which New York's clocks are put back, by the function; the runs are not worked off.
#[tokio::test]
async fn every_time_of_a_day_has_one_run() {
    let app = TestApp::spawn().await;
    let start = "2026-11-01T03:59:30Z".parse::<chrono::DateTime<chrono::Utc>>().expect("a time");
    app.advance(start - app.now());
    let mut user = app.user().await;
    let allow = json!({"overlap": "allow"});
    let mut paths = Vec::new();
    for (schedule, per_day) in [
        // 25 hours, of which the one that comes twice counts once.
        (cron("*/10 * * * *", "America/New_York"), 24 * 6),
        (cron("*/10 * * * *", "UTC"), 25 * 6),
        (cron("30 1 * * *", "America/New_York"), 1),
        (every(420), 25 * 60 / 7),
    ] {
        paths.push((made(&user, body(schedule, allow.clone())).await, per_day));
    }
    // 25 hours: beats come a minute after one another, give or take, and now and then one is lost.
    for n in 0..25 * 60 {
        let late = Duration::seconds(i64::from(n % 7) - 3);
        if n % 50 != 49 {
            app.advance(late);
            app.beat().await;
            app.advance(-late);
        }
        app.advance(Duration::minutes(1));
    }
    app.leave_unfinished();
    user.sign_in().await;
    for (path, expected) in paths {
        let made = shown(&user, &path).await["iterations"].as_i64().expect("a number");
        assert!(
            (0..=1).contains(&(made - expected)),
            "{path}: {made} of {expected}, and one that is ahead of its time"
        );
    }
    assert_eq!(app.count("select count(*) from schedule_runs where task_id is null").await, 0, "none was missed");
}
