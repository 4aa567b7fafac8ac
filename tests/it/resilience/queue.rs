use halyard_tests::TestApp;
use serde_json::json;

#[tokio::test]
async fn tasks_whose_doorbells_were_all_purged_are_done_nevertheless() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    let mut ids = Vec::new();
    for n in 0..40 {
        ids.push(user.submit(json!({"task_type": "sample", "data": {"message": n}, "priority": n % 10 + 1})).await);
    }
    app.forget_queues().await;
    app.drain_eligible().await;
    assert_eq!(app.count("select count(*) from tasks where state = 'completed'").await, 0, "nothing rings");
    app.advance(chrono::Duration::minutes(2));
    app.beat().await;
    app.drain().await;
    for id in &ids {
        assert_eq!(user.state_of(id).await, "completed");
        assert_eq!((app.runs_of(id).await, app.ends_of(id).await), (1, 1));
    }
}

#[tokio::test]
async fn a_submit_succeeds_while_the_queue_is_down_and_the_task_is_done_later() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    app.break_queue(true);
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    app.break_queue(false);
    app.advance(chrono::Duration::minutes(2));
    app.beat().await;
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "completed");
}

#[tokio::test]
async fn a_doorbell_that_cannot_be_decoded_goes_to_the_dead_letters_and_harms_nobody() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    app.ring("default", "this is no doorbell").await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    app.drain_eligible().await;
    assert_eq!(user.state_of(&id).await, "completed");
    // Hidden for six times the worker's timeout after each of its five deliveries.
    for _ in 0..6 {
        app.advance(chrono::Duration::hours(2));
        app.drain_eligible().await;
    }
    assert_eq!(app.depth_of("default-dead").await, 1);
}
