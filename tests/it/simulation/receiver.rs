//! What webhooks are posted to: endpoints that take them, are out of order for a while, or have gone. Each post waits on the
//! stage, as calls of queues do.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use halyard_domain::{Clock as _, DeliveryId, ManualClock};
use halyard_tests::Heard;
use halyard_webhook::{Answer, Limits, Outbound, Outgoing, SendError};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{
    dice::Dice,
    stage::{HostId, Kind, Stage},
};

/// What it takes, what fails half of the time, and what may turn out to be gone.
pub const HOOKS: [&str; 3] =
    ["https://hooks.example.com/told", "https://hooks.example.com/busy", "https://hooks.example.com/leaving"];

/// One post.
#[derive(Debug, Clone)]
pub struct Post {
    pub heard: Heard,
    /// How long it was to wait for its answer.
    pub limit: Duration,
    /// When it was sent; it may arrive much later.
    pub sent: DateTime<Utc>,
}

/// What arrived under one delivery id.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// Their bodies must be the same.
    pub posts: Vec<Post>,
    /// How many of them were answered 2xx.
    pub taken: usize,
}

struct Inner {
    dice: Dice,
    clock: Arc<ManualClock>,
    received: BTreeMap<DeliveryId, Received>,
    in_order: bool,
}

/// The endpoints of one run.
#[derive(Clone)]
pub struct Receiver(Arc<Mutex<Inner>>);

impl Receiver {
    pub fn new(number: u64, clock: &Arc<ManualClock>) -> Self {
        let (dice, clock) = (Dice::new(number ^ 0x484f_4f4b), Arc::clone(clock));
        Self(Arc::new(Mutex::new(Inner { dice, clock, received: BTreeMap::new(), in_order: false })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on everything is taken.
    pub fn set_in_order(&self) {
        self.lock().in_order = true;
    }

    /// What arrived so far.
    pub fn received(&self) -> BTreeMap<DeliveryId, Received> {
        self.lock().received.clone()
    }

    /// What is sent now.
    fn post(&self, outgoing: &Outgoing, limit: Duration) -> Post {
        let text = |value: &HeaderValue| value.to_str().expect("a text").to_owned();
        let headers = outgoing.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let path = outgoing.target.path_and_query().to_owned();
        Post { heard: Heard { path, headers, body: outgoing.body.to_vec() }, limit, sent: self.lock().clock.now() }
    }

    fn take(&self, id: DeliveryId, post: &Post) -> Answer {
        let inner = &mut *self.lock();
        let received = inner.received.entry(id).or_default();
        received.posts.push(post.clone());
        let dice = &inner.dice;
        let (status, pause) = match post.heard.path.as_str() {
            _ if inner.in_order => (200, None),
            "/busy" if dice.chance(500) => {
                dice.one(&[(500, None), (302, None), (429, Some("40")), (503, Some("7200"))])
            }
            "/leaving" if dice.chance(150) => (410, None),
            _ => (200, None),
        };
        received.taken += usize::from(status == 200);
        let mut headers = HeaderMap::new();
        headers.extend(pause.map(|pause| (header::RETRY_AFTER, HeaderValue::from_static(pause))));
        let status = StatusCode::from_u16(status).expect("a status");
        Answer { status, headers, body: Bytes::from_static(b"heard"), cut: false }
    }
}

fn delivery(outgoing: &Outgoing) -> DeliveryId {
    let id = outgoing.headers.get("webhook-id").and_then(|id| id.to_str().ok());
    id.and_then(|id| id.parse().ok()).expect("the id of a delivery")
}

/// The way there, as one environment has it.
pub struct StagedOutbound {
    pub receiver: Receiver,
    pub stage: Arc<Stage>,
    pub host: HostId,
}

impl std::fmt::Debug for StagedOutbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StagedOutbound").finish_non_exhaustive()
    }
}

#[async_trait]
impl Outbound for StagedOutbound {
    async fn send(&self, outgoing: Outgoing, limits: Limits) -> Result<Answer, SendError> {
        let id = delivery(&outgoing);
        let post = self.receiver.post(&outgoing, limits.time);
        let label = format!("post {id} to {}", post.heard.path);
        let broken = || SendError::Broken("the simulation broke it".to_owned());
        let take = async |_| Ok(self.receiver.take(id, &post));
        let answer = self.stage.pass(self.host, Kind::Post(id), label, broken, take);
        tokio::time::timeout(limits.time, answer).await.unwrap_or(Err(SendError::TimedOut(limits.time)))
    }
}
