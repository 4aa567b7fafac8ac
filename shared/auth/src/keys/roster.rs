//! The life of keys, as a pure state machine: `standby` -> `current` -> `previous` -> `revoked`, and from anywhere to
//! `revoked`.
//!
//! What may happen when follows from how old the copies of the set may be that others hold:
//! - A key signs only once everybody who verifies has heard of it: [`Timing::ahead`] after it was published.
//! - A key is retired only once nothing that it signed is good any more: [`Timing::after`] after another one took over.
//!
//! A revoked key stays in the roster as a name that never comes back.

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{KeyError, KeySet, KeyState, Keys, VerifyingKey};
use crate::token::access::LEEWAY;

/// For how long others may keep the published keys (`max-age` of `/.well-known/jwks.json`).
pub const PUBLISHED_FOR: Duration = Duration::seconds(300);

/// One key and since when it is in its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub kid: String,
    /// The public key, base64url.
    x: String,
    /// Where it is in its life.
    pub state: KeyState,
    /// Since when.
    pub since: DateTime<Utc>,
}

impl Entry {
    fn new(key: &VerifyingKey, state: KeyState, now: DateTime<Utc>) -> Self {
        Self { kid: key.kid().to_owned(), x: key.encoded(), state, since: now }
    }

    fn put(&mut self, state: KeyState, now: DateTime<Utc>) {
        (self.state, self.since) = (state, now);
    }
}

/// How long a key must stay in a state.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// From its publication to its first signature.
    pub ahead: Duration,
    /// From its last signature to its end.
    pub after: Duration,
}

impl Timing {
    /// For access tokens of this life. A copy of the set is at most [`Keys::MAX_AGE`] old, at who signs and at who
    /// verifies; other verifiers keep the published one for [`PUBLISHED_FOR`], which was [`Keys::BOUND`] old.
    pub fn of(access_ttl: Duration) -> Self {
        Self { ahead: PUBLISHED_FOR.max(Keys::MAX_AGE) + Keys::BOUND, after: access_ttl + Keys::MAX_AGE + LEEWAY }
    }
}

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// Nothing to promote.
    #[error("there is no standby key: publish one first")]
    NoStandby,
    /// Others may not have heard of it, or it may have signed what is still good.
    #[error("too early for {0}: not before {1}")]
    TooEarly(String, DateTime<Utc>),
    /// There is no such key, or it was revoked.
    #[error("there is no key {0} that could be changed")]
    NoSuchKey(String),
    /// A key that signs is not retired.
    #[error("{0} is the current key: promote another one first")]
    Signs(String),
}

/// The keys of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster(Vec<Entry>);

impl Roster {
    /// The first one, from a configured set. Of several that call themselves current the first one is.
    pub fn of(set: &KeySet, now: DateTime<Utc>) -> Self {
        let mut signs = false;
        let entries = set.iter().map(|key| {
            let state = match key.state() {
                KeyState::Current if signs => KeyState::Previous,
                state => state,
            };
            signs |= state == KeyState::Current;
            Entry::new(key, state, now)
        });
        Self(entries.collect())
    }

    /// Reads a stored one.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_stored(keys: &Value) -> Result<Self, KeyError> {
        serde_json::from_value(keys.clone()).map(Self).map_err(|_| KeyError::Json(" set"))
    }

    /// As it is stored: the members `keys` of a JWK set that [`KeySet::from_jwks`] reads, with `since` on top.
    pub fn to_stored(&self) -> Value {
        let jwk = |entry: &Entry| {
            json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": super::ALGORITHM, "kid": entry.kid, "x": entry.x,
                "state": entry.state, "since": entry.since})
        };
        self.0.iter().map(jwk).collect()
    }

    /// Its keys, the oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// Publishes every key of `set` whose name is new, as standby; answers their names. What the set says of keys that
    /// are known counts for nothing: a key that was revoked stays so.
    pub fn publish(&mut self, set: &KeySet, now: DateTime<Utc>) -> Vec<String> {
        // A name that is in no configuration any more need not be remembered.
        self.0.retain(|entry| entry.state != KeyState::Revoked || set.knows(&entry.kid));
        let new = set.iter().filter(|key| key.state() != KeyState::Revoked);
        let new: Vec<Entry> = new
            .filter(|key| self.0.iter().all(|entry| entry.kid != key.kid()))
            .map(|key| Entry::new(key, KeyState::Standby, now))
            .collect();
        let names = new.iter().map(|entry| entry.kid.clone()).collect();
        self.0.extend(new);
        names
    }

    /// Lets the oldest standby key sign, and the present one only verify. Answers its name.
    ///
    /// # Errors
    /// When there is none, or it was published less than [`Timing::ahead`] ago.
    pub fn promote(&mut self, now: DateTime<Utc>, timing: &Timing) -> Result<String, RosterError> {
        let next = self.standby().ok_or(RosterError::NoStandby)?;
        let from = self.0[next].since + timing.ahead;
        if now < from {
            return Err(RosterError::TooEarly(self.0[next].kid.clone(), from));
        }
        Ok(self.let_sign(next, now))
    }

    /// Ends a key that signs no more, or never did.
    ///
    /// # Errors
    /// When it signs, or what it signed may still be good.
    pub fn retire(&mut self, kid: &str, now: DateTime<Utc>, timing: &Timing) -> Result<(), RosterError> {
        let entry = self.known(kid)?;
        match entry.state {
            KeyState::Current => return Err(RosterError::Signs(kid.to_owned())),
            KeyState::Previous if now < entry.since + timing.after => {
                return Err(RosterError::TooEarly(kid.to_owned(), entry.since + timing.after));
            }
            _ => entry.put(KeyState::Revoked, now),
        }
        Ok(())
    }

    /// Ends a key at once, with everything that it signed. Should it be the current one, the oldest standby key signs from
    /// now on, though some verifiers may not have heard of it yet; answers that one's name.
    ///
    /// # Errors
    /// When nobody would be left to sign.
    pub fn revoke(&mut self, kid: &str, now: DateTime<Utc>) -> Result<Option<String>, RosterError> {
        let next = match self.known(kid)?.state {
            KeyState::Current => Some(self.standby().ok_or(RosterError::NoStandby)?),
            _ => None,
        };
        let promoted = next.map(|next| self.let_sign(next, now));
        self.known(kid)?.put(KeyState::Revoked, now);
        Ok(promoted)
    }

    fn let_sign(&mut self, next: usize, now: DateTime<Utc>) -> String {
        for entry in self.0.iter_mut().filter(|entry| entry.state == KeyState::Current) {
            entry.put(KeyState::Previous, now);
        }
        self.0[next].put(KeyState::Current, now);
        self.0[next].kid.clone()
    }

    fn standby(&self) -> Option<usize> {
        let standby = self.0.iter().enumerate().filter(|(_, entry)| entry.state == KeyState::Standby);
        standby.min_by_key(|(_, entry)| entry.since).map(|(at, _)| at)
    }

    fn known(&mut self, kid: &str) -> Result<&mut Entry, RosterError> {
        let entry = self.0.iter_mut().find(|entry| entry.kid == kid && entry.state != KeyState::Revoked);
        entry.ok_or_else(|| RosterError::NoSuchKey(kid.to_owned()))
    }
}
