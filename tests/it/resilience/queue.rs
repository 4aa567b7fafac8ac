use halyard_domain::{Entropy, Lane, Priority, TaskId, UserId, retry::RetryPolicy};
use halyard_store::tasks::{self, NewTask, submit_many};
use halyard_tests::TestApp;
use serde_json::{json, value::to_raw_value};

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

#[tokio::test]
async fn one_beat_rings_for_a_backlog_of_any_size_that_has_lost_its_doorbells() {
    let app = TestApp::spawn().await;
    let entropy = Entropy::seeded(7);
    let now = app.now_text().parse().unwrap();
    let backlog: Vec<_> = (0..1_200).map(|_| waiting(TaskId(entropy.ulid(now)))).collect();
    let conn = &mut app.connect().await;
    for tasks in backlog.chunks(400) {
        submit_many(conn, tasks, Some(now)).await.unwrap();
    }
    app.advance(chrono::Duration::minutes(1));
    app.beat().await;
    app.drain().await;
    let completed = app.count("select count(*) from tasks where state = 'completed'").await;
    assert_eq!(completed, 1_200, "none of those that the beat rings is taken for an old one");
}

#[tokio::test]
async fn a_lane_whose_doorbells_are_hidden_after_a_failure_is_rung_again() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    // Received by a worker that vanished before it claimed: hidden for the visibility timeout, and the row is put off.
    app.hide_doorbells("default").await;
    app.execute("update outbox set ring_at = ring_at + interval '10 minutes', rings = 3").await;
    app.advance(chrono::Duration::minutes(1));
    app.beat().await;
    app.drain().await;
    assert_eq!(user.state_of(&id).await, "completed");
}

fn waiting(id: TaskId) -> NewTask {
    NewTask {
        id,
        user_id: UserId(1),
        task_type: "sample".to_owned(),
        lane: Lane::Default,
        priority: Priority::default(),
        input: to_raw_value(&json!({})).expect("an object"),
        resources: None,
        callbacks: None,
        retry: RetryPolicy::default(),
        timeout_s: 60,
        expires_at: None,
        scheduled_for: None,
        request_id: None,
        traceparent: None,
        ties: tasks::Ties::default(),
    }
}
