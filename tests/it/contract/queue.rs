//! What every `Queue` keeps. Each test runs against the twin, whose clock it moves, and against the SQS API, where it
//! waits by long polls.

mod limits;

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use halyard_cloud::queue::{
    DeadLetter, Depth, Outgoing, Queue, QueueConfig, QueueError, QueueName, QueueTwin, Received,
};
use halyard_domain::{Clock, ManualClock};
use halyard_tests::wait;

use super::aws;

/// After this many receives a message goes to the dead-letter queue.
pub const MAX_RECEIVES: u32 = 2;
/// How long a condition may take to come true.
pub const PATIENCE: Duration = Duration::from_secs(15);
const SECOND: Duration = Duration::from_secs(1);
const NOW: Duration = Duration::ZERO;

/// A queue under test.
pub struct Rig {
    pub queue: Arc<dyn Queue>,
    pub main: QueueName,
    pub dead: QueueName,
    /// Only the twin's time can be moved.
    twin: Option<(QueueTwin, Arc<ManualClock>)>,
}

impl Rig {
    /// The twin.
    pub fn twin() -> Self {
        let start = chrono::DateTime::<Utc>::from_timestamp(1_790_000_000, 0).expect("a moment");
        let clock = Arc::new(ManualClock::new(start));
        let (main, dead) = (QueueName("main".to_owned()), QueueName("dead".to_owned()));
        let dead_letter = Some(DeadLetter { queue: dead.clone(), max_receive_count: MAX_RECEIVES });
        let configs = [QueueConfig { dead_letter, ..QueueConfig::new(&main.0) }, QueueConfig::new(&dead.0)];
        let twin = QueueTwin::new(Arc::clone(&clock) as Arc<dyn Clock>, configs).expect("good settings");
        Self { queue: Arc::new(twin.clone()), main, dead, twin: Some((twin, clock)) }
    }

    /// The SQS API.
    pub async fn sqs() -> Self {
        let (queue, main, dead) = aws::queues(30).await;
        Self { queue: Arc::new(queue), main, dead, twin: None }
    }

    pub async fn send(&self, body: &str) {
        let left = self.queue.send(&self.main, &[message(body)]).await.expect("sent");
        assert_eq!(left, Vec::<usize>::new());
    }

    /// What is visible now, hidden for a second.
    pub async fn take(&self) -> Vec<Received> {
        self.queue.receive(&self.main, 10, NOW, Some(SECOND)).await.expect("received")
    }

    /// The first message, once there is one.
    pub async fn next(&self, queue: &QueueName) -> Received {
        for _ in 0..PATIENCE.as_secs() {
            // The API finds the moment by itself; the twin's clock has to be moved to it.
            let wait = if self.twin.is_some() { NOW } else { SECOND };
            if let Some(first) = self.queue.receive(queue, 1, wait, Some(SECOND)).await.expect("received").pop() {
                return first;
            }
            self.pass(TimeDelta::milliseconds(500));
        }
        panic!("waited for a message in vain");
    }

    /// Lets time pass where that is possible; the real service has its own.
    pub fn pass(&self, by: TimeDelta) {
        if let Some((twin, clock)) = &self.twin {
            clock.advance(by);
            twin.wake();
        }
    }

    /// Deletes a message that is gone or was received again under another handle, which SQS accepts: "the request
    /// succeeds" (`DeleteMessage`).
    ///
    /// Difference of `MiniStack` 1.5.33: it answers `ReceiptHandleIsInvalid`.
    async fn delete_in_vain(&self, receipt_handle: String) {
        let answer = self.queue.delete(&self.main, &[receipt_handle]).await;
        let ministack = self.twin.is_none()
            && matches!(&answer, Err(QueueError::Refused(why)) if why.starts_with("ReceiptHandleIsInvalid"));
        assert!(answer.is_ok() || ministack, "{answer:?}");
    }

    async fn depth_becomes(&self, expected: Depth) {
        wait::until(format!("a depth of {expected:?}"), PATIENCE, || async {
            (self.queue.depth(&self.main).await.expect("a depth") == expected).then_some(())
        })
        .await;
    }
}

pub fn message(body: &str) -> Outgoing {
    Outgoing { body: body.to_owned(), delay: NOW, attributes: Vec::new() }
}

fn delayed(body: &str, seconds: u64) -> Outgoing {
    Outgoing { delay: Duration::from_secs(seconds), ..message(body) }
}

/// Runs every test of a contract against both sides.
macro_rules! both {
    ($($test:ident),* $(,)?) => {
        mod twin { $( #[tokio::test] async fn $test() { super::$test(super::Rig::twin()).await } )* }
        mod sqs { $( #[tokio::test] async fn $test() { super::$test(super::Rig::sqs().await).await } )* }
    };
}
use both;

both! {
    a_message_arrives_as_it_was_sent,
    a_received_message_is_hidden_and_comes_back_under_a_new_handle,
    a_deleted_message_is_gone_and_may_be_deleted_again,
    a_message_may_be_deleted_after_its_visibility_has_passed,
    an_old_handle_is_accepted_and_the_new_one_still_deletes,
    a_delayed_message_waits,
    a_long_poll_wakes_on_arrival,
    a_long_poll_wakes_when_a_message_becomes_visible,
    visibility_zero_shows_a_message_at_once,
    a_longer_visibility_hides_a_message_longer,
    the_visibility_of_a_message_that_is_gone_cannot_be_changed,
    a_malformed_handle_is_refused,
    a_message_received_too_often_moves_to_the_dead_letter_queue,
    every_message_of_a_batch_arrives,
    no_more_than_asked_for_is_received,
    purge_forgets_everything,
    depth_tells_visible_in_flight_and_delayed_apart,
    an_unknown_queue_is_named,
}

async fn a_message_arrives_as_it_was_sent(rig: Rig) {
    let attributes =
        vec![("request_id".to_owned(), "req_1".to_owned()), ("traceparent".to_owned(), "00-ä-01".to_owned())];
    let sent = Outgoing { attributes: attributes.clone(), ..message("{\"v\":1,\"lane\":\"high\"}\nünïcode 😀") };
    rig.queue.send(&rig.main, std::slice::from_ref(&sent)).await.expect("sent");
    let got = rig.next(&rig.main).await;
    assert_eq!((&got.body, &got.attributes, got.receive_count), (&sent.body, &attributes, 1));
    assert!(!got.message_id.is_empty() && !got.receipt_handle.is_empty());
    assert!(got.sent_at_ms > 1_700_000_000_000 && got.first_received_at_ms >= got.sent_at_ms, "{got:?}");
}

async fn a_received_message_is_hidden_and_comes_back_under_a_new_handle(rig: Rig) {
    rig.send("x").await;
    let first = rig.next(&rig.main).await;
    assert_eq!(rig.take().await, []);
    let second = rig.next(&rig.main).await;
    assert_eq!((&second.message_id, second.receive_count), (&first.message_id, 2));
    assert_ne!(second.receipt_handle, first.receipt_handle);
    assert_eq!((second.sent_at_ms, second.first_received_at_ms), (first.sent_at_ms, first.first_received_at_ms));
}

async fn a_deleted_message_is_gone_and_may_be_deleted_again(rig: Rig) {
    rig.send("x").await;
    let got = rig.next(&rig.main).await;
    rig.queue.delete(&rig.main, std::slice::from_ref(&got.receipt_handle)).await.expect("deleted");
    rig.delete_in_vain(got.receipt_handle).await;
    rig.pass(TimeDelta::hours(1));
    rig.depth_becomes(Depth::default()).await;
}

async fn a_message_may_be_deleted_after_its_visibility_has_passed(rig: Rig) {
    rig.send("x").await;
    let got = rig.next(&rig.main).await;
    rig.pass(TimeDelta::seconds(2));
    rig.depth_becomes(Depth { visible: 1, ..Depth::default() }).await;
    rig.queue.delete(&rig.main, &[got.receipt_handle]).await.expect("deleted");
    rig.depth_becomes(Depth::default()).await;
}

/// `DeleteMessage`: with an older handle "the request succeeds, but the message might not be deleted". The twin never
/// deletes then; of the real service only the answer, and that the newest handle works, can be relied on.
async fn an_old_handle_is_accepted_and_the_new_one_still_deletes(rig: Rig) {
    rig.send("x").await;
    let old = rig.next(&rig.main).await;
    let new = rig.next(&rig.main).await;
    rig.delete_in_vain(old.receipt_handle).await;
    if rig.twin.is_some() {
        assert_eq!(rig.queue.depth(&rig.main).await.expect("a depth").in_flight, 1);
    }
    rig.queue.delete(&rig.main, &[new.receipt_handle]).await.expect("deleted");
    rig.depth_becomes(Depth::default()).await;
}

async fn a_delayed_message_waits(rig: Rig) {
    rig.queue.send(&rig.main, &[delayed("later", 2)]).await.expect("sent");
    assert_eq!(rig.take().await, []);
    rig.depth_becomes(Depth { delayed: 1, ..Depth::default() }).await;
    assert_eq!(rig.next(&rig.main).await.body, "later");
}

async fn a_long_poll_wakes_on_arrival(rig: Rig) {
    let start = std::time::Instant::now();
    let poll = rig.queue.receive(&rig.main, 10, PATIENCE, None);
    let (got, ()) = tokio::join!(poll, rig.send("knock"));
    assert_eq!(got.expect("received").len(), 1);
    assert!(start.elapsed() < PATIENCE, "woke after {:?}", start.elapsed());
}

async fn a_long_poll_wakes_when_a_message_becomes_visible(rig: Rig) {
    rig.queue.send(&rig.main, &[delayed("later", 1)]).await.expect("sent");
    let start = std::time::Instant::now();
    let poll = rig.queue.receive(&rig.main, 10, PATIENCE, None);
    let (got, ()) = tokio::join!(poll, async { rig.pass(TimeDelta::seconds(1)) });
    assert_eq!(got.expect("received").len(), 1);
    assert!(start.elapsed() < PATIENCE, "woke after {:?}", start.elapsed());
}

async fn visibility_zero_shows_a_message_at_once(rig: Rig) {
    rig.send("x").await;
    let minute = Some(Duration::from_mins(1));
    let got = rig.queue.receive(&rig.main, 1, SECOND, minute).await.expect("received");
    rig.queue.change_visibility(&rig.main, &got[0].receipt_handle, NOW).await.expect("shown");
    let again = rig.queue.receive(&rig.main, 1, SECOND, minute).await.expect("received");
    assert_eq!((&again[0].message_id, again[0].receive_count), (&got[0].message_id, 2));
}

async fn a_longer_visibility_hides_a_message_longer(rig: Rig) {
    rig.send("first").await;
    let first = rig.next(&rig.main).await;
    rig.queue.change_visibility(&rig.main, &first.receipt_handle, Duration::from_mins(1)).await.expect("hidden");
    // A second message, taken and due again after its second, tells that the second has passed.
    rig.send("second").await;
    for count in 1..=MAX_RECEIVES {
        let second = rig.next(&rig.main).await;
        assert_eq!((second.body.as_str(), second.receive_count), ("second", count));
    }
    assert_eq!(rig.queue.depth(&rig.main).await.expect("a depth").in_flight, 2);
}

async fn the_visibility_of_a_message_that_is_gone_cannot_be_changed(rig: Rig) {
    rig.send("x").await;
    let got = rig.next(&rig.main).await;
    rig.queue.delete(&rig.main, std::slice::from_ref(&got.receipt_handle)).await.expect("deleted");
    let answer = rig.queue.change_visibility(&rig.main, &got.receipt_handle, SECOND).await;
    assert!(matches!(answer, Err(QueueError::Refused(_))), "{answer:?}");
}

async fn a_malformed_handle_is_refused(rig: Rig) {
    let handle = "not-a-handle".to_owned();
    let changed = rig.queue.change_visibility(&rig.main, &handle, SECOND).await;
    assert!(matches!(changed, Err(QueueError::Refused(_))), "{changed:?}");
    let deleted = rig.queue.delete(&rig.main, &[handle]).await;
    assert!(matches!(deleted, Err(QueueError::Refused(_))), "{deleted:?}");
}

async fn a_message_received_too_often_moves_to_the_dead_letter_queue(rig: Rig) {
    rig.send("poison").await;
    let first = rig.next(&rig.main).await;
    for _ in 1..MAX_RECEIVES {
        rig.next(&rig.main).await;
    }
    // The move happens when somebody asks for the message once more, and finds nothing.
    let dead = wait::until("the message in the dead-letter queue", PATIENCE, || async {
        rig.pass(TimeDelta::seconds(1));
        assert_eq!(rig.take().await, [], "received more often than {MAX_RECEIVES} times");
        rig.queue.receive(&rig.dead, 1, NOW, None).await.expect("received").pop()
    })
    .await;
    assert_eq!((dead.message_id, dead.body), (first.message_id, first.body));
    rig.depth_becomes(Depth::default()).await;
}

async fn every_message_of_a_batch_arrives(rig: Rig) {
    let bodies: Vec<String> = (0..10).map(|n| format!("number {n}")).collect();
    let batch: Vec<Outgoing> = bodies.iter().map(|b| message(b)).collect();
    assert_eq!(rig.queue.send(&rig.main, &batch).await.expect("sent"), Vec::<usize>::new());
    let mut got = Vec::new();
    while got.len() < bodies.len() {
        let some = rig.queue.receive(&rig.main, 10, SECOND, Some(PATIENCE)).await.expect("received");
        let handles: Vec<String> = some.iter().map(|m| m.receipt_handle.clone()).collect();
        rig.queue.delete(&rig.main, &handles).await.expect("deleted");
        got.extend(some.into_iter().map(|m| m.body));
    }
    got.sort();
    assert_eq!(got, bodies);
}

async fn no_more_than_asked_for_is_received(rig: Rig) {
    rig.queue.send(&rig.main, &[message("a"), message("b"), message("c")]).await.expect("sent");
    let got = rig.queue.receive(&rig.main, 2, SECOND, None).await.expect("received");
    assert!((1..=2).contains(&got.len()), "{got:?}");
}

async fn purge_forgets_everything(rig: Rig) {
    rig.queue.send(&rig.main, &[message("a"), message("b"), delayed("c", 1)]).await.expect("sent");
    let held = rig.next(&rig.main).await;
    rig.queue.purge(&rig.main).await.expect("purged");
    rig.pass(TimeDelta::hours(1));
    rig.depth_becomes(Depth::default()).await;
    // What a receiver still holds may be deleted as if nothing had happened.
    rig.delete_in_vain(held.receipt_handle).await;
}

async fn depth_tells_visible_in_flight_and_delayed_apart(rig: Rig) {
    rig.queue.send(&rig.main, &[message("a"), message("b"), message("c"), delayed("d", 60)]).await.expect("sent");
    let got = rig.queue.receive(&rig.main, 1, SECOND, Some(PATIENCE)).await.expect("received");
    assert_eq!(got.len(), 1);
    rig.depth_becomes(Depth { visible: 2, in_flight: 1, delayed: 1 }).await;
}

async fn an_unknown_queue_is_named(rig: Rig) {
    let unknown = QueueName("no-such-queue".to_owned());
    let answer = rig.queue.send(&unknown, &[message("x")]).await;
    assert!(matches!(&answer, Err(QueueError::NoSuchQueue(name)) if *name == unknown), "{answer:?}");
    let answer = rig.queue.receive(&unknown, 1, NOW, None).await;
    assert!(matches!(&answer, Err(QueueError::NoSuchQueue(name)) if *name == unknown), "{answer:?}");
}
