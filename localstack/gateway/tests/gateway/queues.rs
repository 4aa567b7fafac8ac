//! Event source mappings and schedules.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use halyard_cloud::queue::{Outgoing, Queue as _, QueueName, QueueTwin};
use halyard_gateway::esm::{Polled, failures};
use halyard_platform::function::{Answer, FunctionError};
use lambda_http::aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{Fixture, SOON, consumer, plain};

async fn send(queue: &QueueTwin, name: &str, bodies: &[&str]) {
    for chunk in bodies.chunks(10) {
        let messages: Vec<_> = chunk
            .iter()
            .map(|body| Outgoing {
                body: (*body).to_owned(),
                delay: Duration::ZERO,
                attributes: vec![("request_id".to_owned(), "req-1".to_owned())],
            })
            .collect();
        assert!(queue.send(&QueueName(name.to_owned()), &messages).await.expect("sent").is_empty());
    }
}

async fn depth(queue: &QueueTwin, name: &str) -> (u64, u64) {
    let depth = queue.depth(&QueueName(name.to_owned())).await.expect("a depth");
    (depth.visible, depth.in_flight)
}

#[tokio::test]
async fn a_batch_arrives_as_sqs_sends_it_and_is_deleted() {
    let seen = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&seen);
    let fixture = Fixture::new().with("work", move || {
        let kept = Arc::clone(&kept);
        plain(move |event| {
            *kept.lock().expect("no panic") = Some(event);
            async { Ok(json!({ "batchItemFailures": [] })) }
        })
    });
    let queue = fixture.queue.clone();
    let gateway = fixture.start().await;
    send(&queue, "jobs", &["one"]).await;
    assert_eq!(gateway.poll_once("jobs").await.expect("polled"), Polled { received: 1, deleted: 1 });
    assert_eq!(depth(&queue, "jobs").await, (0, 0));
    let event = seen.lock().expect("no panic").take().expect("an event");
    let record = &event["Records"][0];
    assert_eq!(record["body"], "one");
    assert_eq!(record["eventSource"], "aws:sqs");
    assert_eq!(record["eventSourceARN"], "arn:aws:sqs:us-east-1:000000000000:jobs");
    assert_eq!(record["awsRegion"], "us-east-1");
    assert_eq!(record["attributes"]["ApproximateReceiveCount"], "1");
    assert_eq!(record["messageAttributes"]["request_id"]["stringValue"], "req-1");
    assert_eq!(record["messageAttributes"]["request_id"]["dataType"], "String");
    assert!(record["messageId"].is_string() && record["receiptHandle"].is_string());
}

#[tokio::test]
async fn of_a_partly_failed_batch_only_the_successes_are_deleted_and_the_rest_ends_in_the_dead_letter_queue() {
    let fixture = Fixture::new().with("work", || {
        consumer(|event: SqsEvent| async move {
            let mut answer = SqsBatchResponse::default();
            for record in event.records.iter().filter(|r| r.body.as_deref() == Some("bad")) {
                answer.add_failure(record.message_id.clone().unwrap_or_default());
            }
            Ok(answer)
        })
    });
    let (queue, clock) = (fixture.queue.clone(), Arc::clone(&fixture.clock));
    let gateway = fixture.start().await;
    send(&queue, "jobs", &["good", "bad", "good"]).await;
    assert_eq!(gateway.poll_once("jobs").await.expect("polled"), Polled { received: 3, deleted: 2 });
    for _ in 0..2 {
        assert_eq!(gateway.poll_once("jobs").await.expect("polled").received, 0, "it is hidden");
        clock.advance(chrono::Duration::seconds(61));
        assert_eq!(gateway.poll_once("jobs").await.expect("polled"), Polled { received: 1, deleted: 0 });
    }
    clock.advance(chrono::Duration::seconds(61));
    assert_eq!(gateway.poll_once("jobs").await.expect("polled").received, 0);
    assert_eq!((depth(&queue, "jobs").await, depth(&queue, "dead").await), ((0, 0), (1, 0)));
}

#[tokio::test]
async fn a_failed_function_brings_the_whole_batch_back() {
    let fixture = Fixture::new()
        .with("work", || consumer(|_| async { Err::<SqsBatchResponse, _>(FunctionError("no decision".to_owned())) }));
    let queue = fixture.queue.clone();
    let gateway = fixture.start().await;
    send(&queue, "jobs", &["one", "two"]).await;
    assert_eq!(gateway.poll_once("jobs").await.expect("polled"), Polled { received: 2, deleted: 0 });
    assert_eq!(depth(&queue, "jobs").await, (0, 2));
}

#[test]
fn which_answers_bring_what_back() {
    let batch = HashSet::from(["a", "b"]);
    let failed = |json: Value| failures(&Answer::Plain(json), &batch);
    let item = |id: Value| json!({ "batchItemFailures": [{ "itemIdentifier": id }] });
    assert_eq!(failed(json!({ "batchItemFailures": [] })), Some(HashSet::new()));
    assert_eq!(failed(item(json!("a"))), Some(HashSet::from(["a".to_owned()])));
    for whole in [
        item(json!("")),
        item(json!(null)),
        item(json!("unknown")),
        item(json!(7)),
        json!({ "batchItemFailures": [{ "messageId": "a" }] }),
        json!({ "batchItemFailures": ["a"] }),
        json!({ "batchItemFailures": null }),
        json!({ "batchItemFailures": "a" }),
        json!({}),
        json!(null),
        json!(""),
        json!("nonsense"),
    ] {
        assert_eq!(failed(whole.clone()), None, "{whole}");
    }
    let mut typed = SqsBatchResponse::default();
    typed.add_failure("");
    assert_eq!(failures(&Answer::Sqs(typed), &batch), None);
}

/// A consumer that shows how many run at once and waits to be let on.
#[derive(Clone)]
struct Gauge {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    entered: Arc<Semaphore>,
    open: Arc<Semaphore>,
    sizes: Arc<Mutex<Vec<usize>>>,
}

impl Gauge {
    fn new() -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        let (now, most, sizes) = Default::default();
        Self { now, most, entered: closed(), open: closed(), sizes }
    }

    fn on(&self, fixture: Fixture) -> Fixture {
        let gauge = self.clone();
        fixture.with("work", move || {
            let gauge = gauge.clone();
            consumer(move |event: SqsEvent| {
                let gauge = gauge.clone();
                async move {
                    let now = gauge.now.fetch_add(1, Ordering::SeqCst) + 1;
                    gauge.most.fetch_max(now, Ordering::SeqCst);
                    gauge.sizes.lock().expect("no panic").push(event.records.len());
                    gauge.entered.add_permits(event.records.len());
                    gauge.open.acquire().await.expect("open").forget();
                    gauge.now.fetch_sub(1, Ordering::SeqCst);
                    Ok(SqsBatchResponse::default())
                }
            })
        })
    }
}

#[tokio::test]
async fn a_full_queue_is_worked_off_in_batches_of_ten_and_never_more_than_allowed_at_once() {
    let gauge = Gauge::new();
    let mut fixture = gauge.on(Fixture::new());
    fixture.change = Box::new(|config| config.poll = true);
    let queue = fixture.queue.clone();
    let bodies = vec!["x"; 100];
    send(&queue, "jobs", &bodies).await;
    let gateway = fixture.start().await;
    gauge.entered.acquire_many(20).await.expect("two batches").forget();
    assert_eq!(gauge.now.load(Ordering::SeqCst), 2);
    gauge.open.add_permits(1_000);
    gauge.entered.acquire_many(80).await.expect("the rest").forget();
    gateway.shutdown(SOON).await;
    assert_eq!(gauge.most.load(Ordering::SeqCst), 2, "MaximumConcurrency");
    assert!(gauge.sizes.lock().expect("no panic").iter().all(|size| *size == 10));
    assert_eq!(depth(&queue, "jobs").await, (0, 0), "shutdown waits until what was done is deleted");
}

#[tokio::test]
async fn within_the_batching_window_messages_gather() {
    let gauge = Gauge::new();
    let mut fixture = gauge.on(Fixture::new());
    fixture.change = Box::new(|config| config.poll = true);
    let queue = fixture.queue.clone();
    let gateway = fixture.start().await;
    gauge.open.add_permits(10);
    for body in ["one", "two", "three"] {
        send(&queue, "slow", &[body]).await;
        tokio::task::yield_now().await;
    }
    gauge.entered.acquire_many(3).await.expect("all three").forget();
    assert_eq!(*gauge.sizes.lock().expect("no panic"), [3]);
    gateway.shutdown(SOON).await;
}

#[tokio::test]
async fn schedules_fire_by_hand_with_the_event_that_eventbridge_sends() {
    let gateway = Fixture::new().start().await;
    let fired = |name: &'static str| {
        let fire = gateway.fire(name);
        async move {
            match fire.await {
                Ok(Answer::Plain(event)) => event,
                other => panic!("{other:?}"),
            }
        }
    };
    let event = fired("Tick.Minute").await;
    let expected: BTreeMap<&str, Value> = BTreeMap::from([
        ("version", json!("0")),
        ("detail-type", json!("Scheduled Event")),
        ("source", json!("aws.events")),
        ("account", json!("000000000000")),
        ("region", json!("us-east-1")),
        ("time", json!("2026-11-23T15:04:05Z")),
        ("resources", json!(["arn:aws:events:us-east-1:000000000000:rule/Tick.Minute"])),
        ("detail", json!({})),
    ]);
    for (name, value) in expected {
        assert_eq!(event[name], value, "{name}");
    }
    assert_eq!(fired("Tick.Constant").await, json!({ "constant": true }));
    assert!(gateway.fire("Nobody").await.is_err());
}
