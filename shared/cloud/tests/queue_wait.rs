//! Long polls of the queue twin under the real clock: they wake for a reason and not because they look now and then.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use halyard_cloud::queue::{Outgoing, Queue, QueueConfig, QueueName, QueueTwin};
use halyard_domain::SystemClock;

const LONG: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_secs(5);

fn twin() -> (QueueTwin, QueueName) {
    let twin = QueueTwin::new(Arc::new(SystemClock), [QueueConfig::new("q")]).expect("a twin");
    (twin, QueueName("q".to_owned()))
}

fn message(delay: u64) -> Outgoing {
    Outgoing { body: "x".to_owned(), delay: Duration::from_secs(delay), attributes: Vec::new() }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(future)
}

/// Sender and receiver have runtimes of their own, as environments have.
#[test]
fn a_message_from_another_runtime_wakes_a_poll() {
    let (twin, queue) = twin();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let poll = scope.spawn(|| block_on(twin.receive(&queue, 10, LONG, None)));
        block_on(twin.send(&queue, &[message(0)])).expect("sent");
        assert_eq!(poll.join().expect("joined").expect("received").len(), 1);
    });
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

#[tokio::test]
async fn a_poll_wakes_when_a_delay_has_passed() {
    let (twin, queue) = twin();
    let start = Instant::now();
    let poll = twin.receive(&queue, 10, LONG, None);
    let (got, sent) = tokio::join!(poll, async { twin.send(&queue, &[message(1)]).await });
    sent.expect("sent");
    assert_eq!(got.expect("received").len(), 1);
    assert!((Duration::from_secs(1)..SOON).contains(&start.elapsed()), "it took {:?}", start.elapsed());
}

#[tokio::test]
async fn a_poll_wakes_when_a_message_is_shown_again() {
    let (twin, queue) = twin();
    twin.send(&queue, &[message(0)]).await.expect("sent");
    let held = twin.receive(&queue, 1, Duration::ZERO, None).await.expect("received");
    let start = Instant::now();
    let poll = twin.receive(&queue, 1, LONG, None);
    let show = twin.change_visibility(&queue, &held[0].receipt_handle, Duration::ZERO);
    let (got, shown) = tokio::join!(poll, show);
    shown.expect("shown");
    assert_eq!(got.expect("received")[0].receive_count, 2);
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

#[tokio::test]
async fn every_poll_that_waits_gets_a_message_of_a_batch() {
    let (twin, queue) = twin();
    let polls = futures::future::join_all((0..5).map(|_| twin.receive(&queue, 1, LONG, None)));
    let batch = vec![message(0); 5];
    let (got, sent) = tokio::join!(polls, twin.send(&queue, &batch));
    sent.expect("sent");
    assert!(got.into_iter().all(|messages| messages.expect("received").len() == 1));
}

#[tokio::test]
async fn a_poll_in_vain_ends_after_its_wait() {
    let (twin, queue) = twin();
    let start = Instant::now();
    let got = twin.receive(&queue, 1, Duration::from_millis(100), None).await.expect("received");
    assert!(got.is_empty() && start.elapsed() >= Duration::from_millis(100));
}
