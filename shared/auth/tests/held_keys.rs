//! The copy of the key set: fresh within its bound, never trusted beyond its age, cheap under a flood.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod common;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use async_trait::async_trait;
use chrono::Duration;
use common::{KID, key_pair, key_set, now};
use halyard_auth::{
    AuthnError, KeySet, Keys,
    keys::{KeySource, SharedSecret},
};
use halyard_domain::ManualClock;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// A store that counts its reads, and answers each when the test lets it.
#[derive(Debug)]
struct Store {
    holds: Mutex<Result<Option<KeySet>, ()>>,
    reads: AtomicU64,
    answers: Semaphore,
}

#[async_trait]
impl KeySource for Store {
    async fn read(&self) -> Result<Option<KeySet>, AuthnError> {
        self.reads.fetch_add(1, SeqCst);
        self.answers.acquire().await.unwrap().forget();
        let holds = self.holds.lock().unwrap().clone();
        holds.map_err(|()| AuthnError::Unavailable("down".into()))
    }
}

struct Rig {
    keys: Keys,
    store: Arc<Store>,
    clock: Arc<ManualClock>,
}

fn with_state(kid: &str, state: &str) -> Value {
    let mut public = key_pair(kid, kid.len().try_into().unwrap()).1;
    public["state"] = json!(state);
    public
}

impl Rig {
    /// Configured with the key `configured`; the store answers at once.
    fn new(holds: Result<Option<KeySet>, ()>) -> Self {
        let clock = Arc::new(ManualClock::new(now()));
        let store =
            Arc::new(Store { holds: Mutex::new(holds), reads: AtomicU64::new(0), answers: Semaphore::new(1000) });
        let keys = Keys::stored(key_set(&[key_pair("configured", 1).1]), store.clone(), clock.clone());
        Self { keys, store, clock }
    }

    fn set(&self, holds: Result<Option<KeySet>, ()>) {
        *self.store.holds.lock().unwrap() = holds;
    }

    fn reads(&self) -> u64 {
        self.store.reads.load(SeqCst)
    }

    async fn trusts(&self, kid: &str) -> Option<bool> {
        self.keys.knowing(kid).await.ok().map(|set| set.find(kid).is_some())
    }

    /// The store keeps who asks waiting, until told otherwise.
    fn hang(&self) {
        self.store.answers.forget_permits(1000);
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what the store answers")]
fn holding(keys: &[Value]) -> Result<Option<KeySet>, ()> {
    Ok(Some(key_set(keys)))
}

#[tokio::test]
async fn the_store_counts_and_the_configuration_only_where_the_store_has_nothing() {
    let rig = Rig::new(Ok(None));
    assert_eq!(rig.trusts("configured").await, Some(true));
    rig.set(holding(&[with_state("stored", "current")]));
    rig.clock.advance(Keys::BOUND);
    assert_eq!(rig.trusts("stored").await, Some(true));
    assert_eq!(rig.trusts("configured").await, Some(false));
}

#[tokio::test]
async fn a_copy_is_read_once_in_thirty_seconds() {
    let rig = Rig::new(holding(&[with_state(KID, "current")]));
    for _ in 0..100 {
        assert_eq!(rig.trusts(KID).await, Some(true));
    }
    assert_eq!(rig.reads(), 1);
    rig.clock.advance(Duration::seconds(29));
    rig.trusts(KID).await;
    assert_eq!(rig.reads(), 1);
    rig.clock.advance(Duration::seconds(1));
    for _ in 0..100 {
        rig.trusts(KID).await;
    }
    assert_eq!(rig.reads(), 2);
}

#[tokio::test]
async fn a_revoked_key_is_trusted_no_longer_than_the_bound() {
    let rig = Rig::new(holding(&[with_state(KID, "current"), with_state("other", "standby")]));
    assert_eq!(rig.trusts(KID).await, Some(true));
    rig.set(holding(&[with_state(KID, "revoked"), with_state("other", "current")]));
    rig.clock.advance(Keys::BOUND);
    assert_eq!(rig.trusts(KID).await, Some(false));
    // And a name that is known to be revoked is worth no read.
    let before = rig.reads();
    rig.clock.advance(Keys::UNKNOWN_EVERY);
    assert_eq!(rig.trusts(KID).await, Some(false));
    assert_eq!(rig.reads(), before);
}

#[tokio::test]
async fn while_the_store_is_down_the_copy_counts_up_to_its_greatest_age_and_then_nobody_can_say() {
    let rig = Rig::new(holding(&[with_state(KID, "current")]));
    assert_eq!(rig.trusts(KID).await, Some(true));
    rig.set(Err(()));
    rig.clock.advance(Keys::MAX_AGE - Duration::seconds(1));
    assert_eq!(rig.trusts(KID).await, Some(true));
    assert_eq!(rig.trusts(KID).await, Some(true));
    assert_eq!(rig.reads(), 2, "a store that is down is not asked by every request");
    rig.clock.advance(Duration::seconds(1));
    assert_eq!(rig.trusts(KID).await, None);
    rig.set(holding(&[with_state(KID, "current")]));
    rig.clock.advance(Keys::RETRY_AFTER);
    assert_eq!(rig.trusts(KID).await, Some(true));
}

#[tokio::test]
async fn without_any_copy_the_configuration_is_not_trusted_in_its_place() {
    let rig = Rig::new(Err(()));
    assert_eq!(rig.trusts("configured").await, None);
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_a_copy_older() {
    let rig = Rig::new(holding(&[with_state(KID, "current")]));
    rig.trusts(KID).await;
    rig.set(holding(&[with_state(KID, "revoked"), with_state("other", "current")]));
    rig.clock.advance(-Duration::hours(1));
    assert_eq!(rig.trusts(KID).await, Some(false));
}

#[tokio::test]
async fn an_unknown_name_is_read_for_and_a_flood_of_them_once_in_ten_seconds() {
    let rig = Rig::new(holding(&[with_state(KID, "current")]));
    rig.trusts(KID).await;
    rig.set(holding(&[with_state(KID, "current"), with_state("new", "standby")]));
    rig.clock.advance(Keys::UNKNOWN_EVERY);
    assert_eq!(rig.trusts("new").await, Some(true));
    assert_eq!(rig.reads(), 2);
    for n in 0..500 {
        assert_eq!(rig.trusts(&format!("invented-{n}")).await, Some(false));
    }
    assert_eq!(rig.reads(), 2, "one read in ten seconds");
    rig.clock.advance(Keys::UNKNOWN_EVERY);
    let flood = (0..500).map(|n| {
        let rig = &rig;
        async move { rig.trusts(&format!("invented-{n}")).await }
    });
    assert!(futures::future::join_all(flood).await.iter().all(|found| *found == Some(false)));
    assert_eq!(rig.reads(), 3);
}

#[tokio::test]
async fn good_tokens_do_not_wait_for_a_read_that_somebody_else_caused() {
    let rig = Rig::new(holding(&[with_state(KID, "current")]));
    rig.trusts(KID).await;
    rig.hang();
    for later in [Keys::UNKNOWN_EVERY, Keys::REFRESH_AFTER] {
        rig.clock.advance(later);
        let mut stranger = std::pin::pin!(rig.trusts("invented"));
        assert!(futures::poll!(stranger.as_mut()).is_pending(), "the store hangs");
        assert_eq!(rig.trusts(KID).await, Some(true));
    }
}

#[tokio::test]
async fn beyond_the_bound_everybody_waits_for_one_read() {
    let rig = Rig::new(holding(&[with_state(KID, "current")]));
    rig.trusts(KID).await;
    rig.hang();
    rig.clock.advance(Keys::BOUND);
    let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(rig.trusts(KID))).collect();
    for one in &mut waiting {
        assert!(futures::poll!(one).is_pending());
    }
    // One of them goes away: another takes its place.
    drop(waiting.remove(0));
    rig.store.answers.add_permits(1000);
    assert!(futures::future::join_all(waiting).await.iter().all(|found| *found == Some(true)));
    assert_eq!(rig.reads(), 2);
}

#[tokio::test]
async fn the_shared_secret_goes_with_whatever_is_stored() {
    let secret = SharedSecret::new("0123456789abcdefghijklmnopqrstuv").unwrap();
    let clock = Arc::new(ManualClock::new(now()));
    let rig = Rig::new(holding(&[with_state(KID, "current")]));
    let configured = key_set(&[key_pair("configured", 1).1]).with_shared(Some(secret)).unwrap();
    let keys = Keys::stored(configured, rig.store.clone(), clock);
    let set = keys.present().await.unwrap();
    assert!(set.find(KID).is_some());
    assert!(format!("{set:?}").contains("shared: Some(SharedSecret(..))"), "and nothing of it is shown");
}
