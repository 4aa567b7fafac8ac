use std::time::Duration;

use halyard_tests::TestApp;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_an_environment_that_is_killed_run_again_and_end_once() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let data = json!({"duration_ms": 120_000, "fail_attempts": 0});
        ids.push(user.submit(json!({"task_type": "sample", "data": data, "timeout": 300})).await);
    }
    app.poll_and_kill("default", async || {
        for id in &ids {
            app.until_state(&user, id, "running", Duration::from_secs(20)).await;
        }
    })
    .await;
    // Shorter now, so that the second attempt ends in the test's time.
    app.execute("update tasks set input = '{}'").await;
    app.advance(chrono::Duration::seconds(16));
    app.beat().await;
    app.drain().await;
    for id in &ids {
        let task = user.task(id).await;
        assert_eq!(task["status"], "completed");
        assert_eq!(task["result"]["attempt"], 2);
        assert_eq!((app.runs_of(id).await, app.ends_of(id).await), (2, 1));
    }
}
