//! The queue twin against a naive model: a list, and every rule written out.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use halyard_cloud::queue::{DeadLetter, Depth, Outgoing, Queue, QueueConfig, QueueName, QueueTwin, Received};
use halyard_domain::{Clock, ManualClock};
use proptest::prelude::*;

const VISIBILITY: u64 = 30;
const RETENTION: i64 = 600;
const MAX_RECEIVES: u32 = 3;

#[derive(Debug, Clone)]
enum Step {
    Send {
        delay: u64,
    },
    Receive {
        max: u32,
        visibility: Option<u64>,
    },
    /// Deletes by one of all handles ever seen.
    Delete {
        handle: prop::sample::Index,
    },
    Change {
        handle: prop::sample::Index,
        timeout: u64,
    },
    Pass {
        seconds: i64,
    },
    Purge,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => prop_oneof![Just(0), 1..40_u64].prop_map(|delay| Step::Send { delay }),
        6 => (1..=10_u32, prop::option::of(0..60_u64)).prop_map(|(max, visibility)| Step::Receive { max, visibility }),
        3 => any::<prop::sample::Index>().prop_map(|handle| Step::Delete { handle }),
        2 => (any::<prop::sample::Index>(), 0..60_u64).prop_map(|(handle, timeout)| Step::Change { handle, timeout }),
        4 => (1..50_i64).prop_map(|seconds| Step::Pass { seconds }),
        1 => (500..700_i64).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Purge),
    ]
}

#[derive(Debug, Clone)]
struct Message {
    body: String,
    sent_at: i64,
    visible_at: i64,
    receives: u32,
    handle: Option<String>,
}

#[derive(Default)]
struct Model {
    messages: Vec<Message>,
    now: i64,
}

impl Model {
    fn forget_old(&mut self) {
        let now = self.now;
        self.messages.retain(|m| m.sent_at + RETENTION > now);
    }

    fn visible(&self) -> BTreeSet<String> {
        self.messages
            .iter()
            .filter(|m| m.visible_at <= self.now && m.receives < MAX_RECEIVES)
            .map(|m| m.body.clone())
            .collect()
    }

    fn worn_out(&self) -> BTreeSet<String> {
        self.messages
            .iter()
            .filter(|m| m.visible_at <= self.now && m.receives >= MAX_RECEIVES)
            .map(|m| m.body.clone())
            .collect()
    }

    fn by_body(&mut self, body: &str) -> &mut Message {
        self.messages.iter_mut().find(|m| m.body == body).expect("a message of the model")
    }

    fn depth(&self) -> Depth {
        let mut depth = Depth::default();
        for message in &self.messages {
            if message.visible_at <= self.now {
                depth.visible += 1;
            } else if message.receives > 0 {
                depth.in_flight += 1;
            } else {
                depth.delayed += 1;
            }
        }
        depth
    }
}

struct Pair {
    twin: QueueTwin,
    clock: Arc<ManualClock>,
    model: Model,
    main: QueueName,
    dead: QueueName,
    handles: Vec<String>,
    sent: usize,
}

impl Pair {
    fn new() -> Self {
        let start = DateTime::<Utc>::from_timestamp(1_790_000_000, 0).expect("a moment");
        let clock = Arc::new(ManualClock::new(start));
        let (main, dead) = (QueueName("main".to_owned()), QueueName("dead".to_owned()));
        let config = QueueConfig {
            visibility: Duration::from_secs(VISIBILITY),
            retention: Duration::from_secs(RETENTION.unsigned_abs()),
            dead_letter: Some(DeadLetter { queue: dead.clone(), max_receive_count: MAX_RECEIVES }),
            ..QueueConfig::new(&main.0)
        };
        let twin =
            QueueTwin::new(Arc::clone(&clock) as Arc<dyn Clock>, [config, QueueConfig::new(&dead.0)]).expect("a twin");
        Self { twin, clock, model: Model::default(), main, dead, handles: vec!["0:999:1".to_owned()], sent: 0 }
    }

    async fn apply(&mut self, step: &Step) {
        match step {
            Step::Send { delay } => self.send(*delay).await,
            Step::Receive { max, visibility } => self.receive(*max, *visibility).await,
            Step::Delete { handle } => {
                let handle = handle.get(&self.handles).clone();
                self.twin.delete(&self.main, std::slice::from_ref(&handle)).await.expect("accepted");
                self.model.messages.retain(|m| m.handle.as_ref() != Some(&handle));
            }
            Step::Change { handle, timeout } => self.change(&handle.get(&self.handles).clone(), *timeout).await,
            Step::Pass { seconds } => {
                self.clock.advance(TimeDelta::seconds(*seconds));
                self.model.now += seconds;
            }
            Step::Purge => {
                self.twin.purge(&self.main).await.expect("purged");
                self.model.messages.clear();
            }
        }
    }

    async fn send(&mut self, delay: u64) {
        let body = format!("message {}", self.sent);
        self.sent += 1;
        let message = Outgoing { body: body.clone(), delay: Duration::from_secs(delay), attributes: Vec::new() };
        self.twin.send(&self.main, &[message]).await.expect("sent");
        let now = self.model.now;
        let visible_at = now + i64::try_from(delay).expect("small");
        self.model.messages.push(Message { body, sent_at: now, visible_at, receives: 0, handle: None });
    }

    async fn receive(&mut self, max: u32, visibility: Option<u64>) {
        self.model.forget_old();
        let (visible, worn_out) = (self.model.visible(), self.model.worn_out());
        let timeout = visibility.map(Duration::from_secs);
        let got = self.twin.receive(&self.main, max, Duration::ZERO, timeout).await.expect("received");
        let bodies: BTreeSet<String> = got.iter().map(|m| m.body.clone()).collect();
        assert_eq!(bodies.len(), got.len(), "one message twice in one batch");
        assert_eq!(got.len(), visible.len().min(max as usize), "of {visible:?}");
        assert!(bodies.is_subset(&visible), "{bodies:?} of {visible:?}");
        for message in got {
            self.note(message, i64::try_from(visibility.unwrap_or(VISIBILITY)).expect("small"));
        }
        let moved = self.drain_dead().await;
        assert!(moved.is_subset(&worn_out), "{moved:?} of {worn_out:?}");
        // Whoever finds less than they asked for has looked at everything.
        if visible.len() < max as usize {
            assert_eq!(moved, worn_out);
        }
        self.model.messages.retain(|m| !moved.contains(&m.body));
    }

    fn note(&mut self, got: Received, visibility: i64) {
        let now = self.model.now;
        let message = self.model.by_body(&got.body);
        message.receives += 1;
        message.visible_at = now + visibility;
        assert_eq!(got.receive_count, message.receives);
        assert!(!self.handles.contains(&got.receipt_handle), "a handle twice");
        self.model.by_body(&got.body).handle = Some(got.receipt_handle.clone());
        self.handles.push(got.receipt_handle);
    }

    async fn drain_dead(&self) -> BTreeSet<String> {
        let mut bodies = BTreeSet::new();
        loop {
            let got = self.twin.receive(&self.dead, 10, Duration::ZERO, None).await.expect("received");
            if got.is_empty() {
                return bodies;
            }
            for message in got {
                self.twin.delete(&self.dead, &[message.receipt_handle]).await.expect("deleted");
                bodies.insert(message.body);
            }
        }
    }

    async fn change(&mut self, handle: &str, timeout: u64) {
        let answer = self.twin.change_visibility(&self.main, handle, Duration::from_secs(timeout)).await;
        let now = self.model.now;
        let in_flight =
            self.model.messages.iter_mut().find(|m| m.handle.as_deref() == Some(handle) && m.visible_at > now);
        assert_eq!(answer.is_ok(), in_flight.is_some(), "{answer:?}");
        if let Some(message) = in_flight {
            message.visible_at = now + i64::try_from(timeout).expect("small");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_twin_does_what_the_model_allows(steps in prop::collection::vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let mut pair = Pair::new();
            for step in &steps {
                pair.apply(step).await;
                pair.model.forget_old();
                assert_eq!(pair.twin.depth(&pair.main).await.expect("a depth"), pair.model.depth());
            }
        });
    }
}

/// Thousands of messages a second, however many are in the queue: what is received costs, not what waits.
#[tokio::test]
async fn a_full_queue_is_as_fast_as_an_empty_one() {
    let pair = Pair::new();
    let batch: Vec<Outgoing> = (0..10)
        .map(|n| Outgoing { body: n.to_string(), delay: Duration::from_mins(1), attributes: Vec::new() })
        .collect();
    for _ in 0..5_000 {
        pair.twin.send(&pair.main, &batch).await.expect("sent");
    }
    let ready: Vec<Outgoing> = batch.iter().map(|m| Outgoing { delay: Duration::ZERO, ..m.clone() }).collect();
    let start = std::time::Instant::now();
    for _ in 0..1_000 {
        pair.twin.send(&pair.main, &ready).await.expect("sent");
        let got = pair.twin.receive(&pair.main, 10, Duration::ZERO, None).await.expect("received");
        let handles: Vec<String> = got.into_iter().map(|m| m.receipt_handle).collect();
        pair.twin.delete(&pair.main, &handles).await.expect("deleted");
    }
    // 10,000 messages through a queue that holds 50,000; an unoptimised build on a busy machine has time to spare.
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
    assert_eq!(pair.twin.depth(&pair.main).await.expect("a depth").delayed, 50_000);
}
