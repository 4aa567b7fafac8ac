//! Doorbells on their way through SQS, the mapping and EventBridge.

use std::time::Duration;

use halyard_tests::{stack::EmulatedStack, wait};
use serde_json::json;

/// More than a minute of EventBridge, and what it takes to look.
const BEATS: Duration = Duration::from_mins(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_doorbell_was_lost_is_rung_for_by_the_beat_that_eventbridge_sends() {
    let (stack, target) = EmulatedStack::up("beat").await;
    let user = target.user("beat").await;
    let queue = stack.queue("HighQueue").await;
    let soon = chrono::Duration::seconds(20);
    let due = (halyard_domain::Clock::now(&halyard_domain::SystemClock) + soon).to_rfc3339();
    let task = json!({"task_type": "sample", "data": {}, "priority": 1, "scheduled_for": due});
    let id = user.submit(task).await;
    // Its doorbell waits in the queue for the time to come. Without it nothing but the beat can find the task.
    let delayed = "ApproximateNumberOfMessagesDelayed";
    assert_eq!(stack.emulator.queue_number(&queue, delayed).await, 1);
    stack.emulator.sqs("PurgeQueue", &json!({ "QueueUrl": queue })).await;
    wait::until("the doorbell to be lost", Duration::from_mins(1), async || {
        (stack.emulator.queue_number(&queue, delayed).await == 0).then_some(())
    })
    .await;
    assert_eq!(user.state_of(&id).await, "scheduled");
    let task = target.finished_within(&user, &id, BEATS).await;
    assert_eq!(task["status"], "completed", "{task}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_decided_on_comes_back_alone_and_ends_in_the_dead_letter_queue() {
    let (stack, target) = EmulatedStack::up("batch").await;
    let user = target.user("batch").await;
    let (queue, dead) = (stack.queue("LowQueue").await, stack.queue("LowDeadLetterQueue").await);
    // What comes back does so after the visibility timeout: an hour and a half, unless a test is in a hurry.
    let hurry = json!({"QueueUrl": queue, "Attributes": {"VisibilityTimeout": "1"}});
    stack.emulator.sqs("SetQueueAttributes", &hurry).await;
    // Both are there when the mapping looks next; whether in one batch, MiniStack decides.
    let bad = json!({"QueueUrl": queue, "MessageBody": "no doorbell"});
    let ((), id) = futures::join!(
        async { drop(stack.emulator.sqs("SendMessage", &bad).await) },
        user.submit(json!({"task_type": "sample", "data": {}, "priority": 10})),
    );
    assert_eq!(target.finished(&user, &id).await["status"], "completed", "its neighbour is done");
    let found = wait::until("the message in the dead-letter queue", Duration::from_mins(2), async || {
        let receive = json!({"QueueUrl": dead, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1});
        stack.emulator.sqs("ReceiveMessage", &receive).await["Messages"].as_array().cloned()
    })
    .await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["Body"], "no doorbell");
    assert_eq!(stack.emulator.queue_number(&dead, "ApproximateNumberOfMessages").await, 0, "and nothing else");
    for left in ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"] {
        assert_eq!(stack.emulator.queue_number(&queue, left).await, 0, "the good doorbell was acknowledged: {left}");
    }
    let attempts: u64 = user.task(&id).await["history"]
        .as_array()
        .map_or(0, |h| h.iter().filter(|event| event["status"] == "running").count() as u64);
    assert_eq!(attempts, 1, "and its task ran once");
}
