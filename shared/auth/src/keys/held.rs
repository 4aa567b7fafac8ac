//! The copy of the key set that one execution environment holds.
//!
//! The set lives in a store; the configured one counts only where the store has none. A copy is refreshed on the way of
//! a request, never in the background, by one request at a time:
//!
//! | the copy's age | what a request does |
//! |---|---|
//! | below [`Keys::REFRESH_AFTER`] | takes it |
//! | below [`Keys::BOUND`] | one request reads the store, the others take the copy meanwhile |
//! | below [`Keys::MAX_AGE`] | waits for the read; takes the copy if it fails |
//! | more, or no copy | waits for the read; nobody can say (503) if it fails |
//!
//! So a revoked key is trusted for [`Keys::BOUND`] at most, and for [`Keys::MAX_AGE`] while the store does not answer.
//! A name that the copy does not know is worth a read too, at most one in [`Keys::UNKNOWN_EVERY`].

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use halyard_domain::Clock;

use super::KeySet;
use crate::verifier::AuthnError;

/// Where the set is kept.
#[async_trait]
pub trait KeySource: Send + Sync + fmt::Debug {
    /// The set as it is now, strongly consistent; `None` when none was ever stored.
    async fn read(&self) -> Result<Option<KeySet>, AuthnError>;
}

/// The key set, as fresh as stated.
pub struct Keys {
    configured: Arc<KeySet>,
    source: Option<(Arc<dyn KeySource>, Arc<dyn Clock>)>,
    state: Mutex<State>,
    flight: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// With the moment before it was read.
    copy: Option<(Arc<KeySet>, DateTime<Utc>)>,
    /// When the store was last asked, with whatever success.
    asked_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("configured", &self.configured).finish_non_exhaustive()
    }
}

impl Keys {
    /// From this age on, one request refreshes the copy.
    pub const REFRESH_AFTER: Duration = Duration::seconds(30);
    /// From this age on, every request waits for a fresh copy: how long a revoked key may still be trusted.
    pub const BOUND: Duration = Duration::seconds(60);
    /// From this age on, a copy counts for nothing, though the store does not answer.
    pub const MAX_AGE: Duration = Duration::minutes(5);
    /// Between two reads for names that are not known.
    pub const UNKNOWN_EVERY: Duration = Duration::seconds(10);
    /// Between two reads of a store that does not answer.
    pub const RETRY_AFTER: Duration = Duration::seconds(5);

    /// A set that never changes.
    pub fn fixed(configured: KeySet) -> Self {
        Self {
            configured: Arc::new(configured),
            source: None,
            state: Mutex::default(),
            flight: tokio::sync::Mutex::default(),
        }
    }

    /// The set that `source` has, or `configured` where it has none.
    pub fn stored(configured: KeySet, source: Arc<dyn KeySource>, clock: Arc<dyn Clock>) -> Self {
        Self { source: Some((source, clock)), ..Self::fixed(configured) }
    }

    /// The set that counts where the store has none.
    pub fn configured(&self) -> &KeySet {
        &self.configured
    }

    /// The set to verify and sign by.
    ///
    /// # Errors
    /// [`AuthnError::Unavailable`] when there is no copy that may still be trusted and the store does not answer.
    pub async fn present(&self) -> Result<Arc<KeySet>, AuthnError> {
        let Some((source, clock)) = &self.source else { return Ok(Arc::clone(&self.configured)) };
        match self.copy(clock.now()) {
            Some((set, age)) if age < Self::REFRESH_AFTER => return Ok(set),
            Some((set, age)) if age < Self::BOUND => {
                let Ok(_one) = self.flight.try_lock() else { return Ok(set) };
                self.refresh(source, clock, Self::RETRY_AFTER).await;
            }
            _ => {
                let _one = self.flight.lock().await;
                // Whoever waited finds what the one before it has read.
                if self.copy(clock.now()).is_none_or(|(_, age)| age >= Self::REFRESH_AFTER) {
                    self.refresh(source, clock, Self::RETRY_AFTER).await;
                }
            }
        }
        match self.copy(clock.now()) {
            Some((set, age)) if age < Self::MAX_AGE => Ok(set),
            _ => Err(AuthnError::Unavailable("the token keys cannot be read".to_owned())),
        }
    }

    /// The set to verify a token of the key `kid` by: read anew if it does not know that name and was not asked for an
    /// unknown one a moment ago. Whoever comes with a known name is not kept waiting by those who do not.
    ///
    /// # Errors
    /// As [`Self::present`].
    pub async fn knowing(&self, kid: &str) -> Result<Arc<KeySet>, AuthnError> {
        let set = self.present().await?;
        let Some((source, clock)) = &self.source else { return Ok(set) };
        if set.knows(kid) {
            return Ok(set);
        }
        let _one = self.flight.lock().await;
        self.refresh(source, clock, Self::UNKNOWN_EVERY).await;
        Ok(self.copy(clock.now()).map_or(set, |(set, _)| set))
    }

    /// Reads the store, unless it was asked less than `pause` ago. The caller holds `flight`.
    async fn refresh(&self, source: &Arc<dyn KeySource>, clock: &Arc<dyn Clock>, pause: Duration) {
        let now = clock.now();
        if self.lock().asked_at.is_some_and(|at| (now - at).abs() < pause) {
            return;
        }
        self.lock().asked_at = Some(now);
        // What cannot be read is logged by who reads it; the copy stays for as long as it may.
        if let Ok(found) = source.read().await {
            let set = found.map_or_else(|| Arc::clone(&self.configured), |set| Arc::new(self.sharing(set)));
            self.lock().copy = Some((set, now));
        }
    }

    /// The shared secret is configured, not stored.
    fn sharing(&self, set: KeySet) -> KeySet {
        let shared = self.configured.shared().cloned();
        set.clone().with_shared(shared).unwrap_or(set)
    }

    /// The copy and its age. A clock that was set back makes it older, not younger.
    fn copy(&self, now: DateTime<Utc>) -> Option<(Arc<KeySet>, Duration)> {
        self.lock().copy.as_ref().map(|(set, at)| (Arc::clone(set), (now - *at).abs()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<KeySet> for Arc<Keys> {
    fn from(set: KeySet) -> Self {
        Self::new(Keys::fixed(set))
    }
}
