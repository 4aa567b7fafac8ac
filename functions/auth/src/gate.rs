//! The gate against guessing: who failed often waits before the next attempt counts (`domain::guesses`).
//!
//! Tallies are in Redis. While it is down, or was flushed, each environment keeps its own in memory: a guesser gains as
//! many tries more as there are environments, and nobody is turned away because Redis is.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use halyard_cloud::redis::{Charged, Guesses, SignIn};
use halyard_domain::{
    UserId,
    guesses::{KNOWN, Ladder, SIGNED_IN, STRANGERS, Tally},
};

use crate::error::AuthError;

/// Tallies that are kept in memory; the oldest go first.
const MOST: usize = 10_000;

/// The gate.
#[derive(Debug)]
pub struct Gate {
    shared: Guesses,
    own: Mutex<HashMap<String, Tally>>,
    open: bool,
}

/// An attempt that was let in, to be given back if it was none of a guesser.
#[derive(Debug)]
#[must_use = "an attempt that is not given back counts as a failure"]
pub struct Attempt {
    sign_in: SignIn,
    /// Failures in a row with this one.
    pub failures: u32,
    /// Does it come from a device or an address that has signed in to the account before?
    pub known: bool,
}

impl Gate {
    /// A gate; an `open` one counts and refuses nobody, as limits do that are turned off.
    pub fn new(shared: Guesses, open: bool) -> Self {
        Self { shared, own: Mutex::default(), open }
    }

    /// Lets an attempt to sign in pass, charged as a failure for now.
    ///
    /// # Errors
    /// [`AuthError::TooEarly`].
    pub async fn enter(&self, sign_in: SignIn, now: DateTime<Utc>) -> Result<Attempt, AuthError> {
        let charged = match self.shared.attempt(&sign_in, now).await {
            Ok(charged) => charged,
            Err(error) => {
                tracing::warn!(%error, "failures are counted in memory");
                let ladder = if sign_in.device.is_some() { KNOWN } else { STRANGERS };
                self.charge(own_key(&sign_in), &ladder, now)
            }
        };
        self.pass(&charged)?;
        Ok(Attempt { sign_in, failures: charged.failures, known: charged.known })
    }

    /// Gives an attempt back. The address counts as known from now on if `signed_in`.
    pub async fn give_back(&self, attempt: &Attempt, signed_in: bool, now: DateTime<Utc>) {
        self.forget(&own_key(&attempt.sign_in));
        if let Err(error) = self.shared.succeeded(&attempt.sign_in, attempt.known, signed_in, now).await {
            tracing::warn!(%error, "a success stays counted as a failure");
        }
    }

    /// Lets somebody whose account is known try a second factor or a password.
    ///
    /// # Errors
    /// [`AuthError::TooEarly`].
    pub async fn enter_by(&self, user: UserId, known: bool, now: DateTime<Utc>) -> Result<(), AuthError> {
        let charged = match self.shared.attempt_by(user, known, now).await {
            Ok(charged) => charged,
            Err(error) => {
                tracing::warn!(%error, "failures are counted in memory");
                self.charge(format!("user {user} {known}"), &SIGNED_IN, now)
            }
        };
        self.pass(&charged)
    }

    /// Forgets that user's failures.
    pub async fn give_back_by(&self, user: UserId, known: bool) {
        self.forget(&format!("user {user} {known}"));
        if let Err(error) = self.shared.succeeded_by(user, known).await {
            tracing::warn!(%error, "a success stays counted as a failure");
        }
    }

    fn pass(&self, charged: &Charged) -> Result<(), AuthError> {
        if charged.wait.is_zero() || self.open {
            return Ok(());
        }
        let seconds = charged.wait.as_millis().div_ceil(1_000);
        Err(AuthError::TooEarly(u32::try_from(seconds).unwrap_or(u32::MAX)))
    }

    fn charge(&self, key: String, ladder: &Ladder, now: DateTime<Utc>) -> Charged {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.len() >= MOST && !own.contains_key(&key) {
            let oldest = own.iter().min_by_key(|(_, tally)| tally.at).map(|(key, _)| key.clone());
            oldest.and_then(|key| own.remove(&key));
        }
        let known = false;
        match Tally::attempt(own.get(&key).copied(), ladder, now) {
            Ok(after) => {
                let failures = after.failures;
                own.insert(key, after);
                Charged { wait: std::time::Duration::ZERO, known, failures }
            }
            Err(wait) => Charged { wait: wait.to_std().unwrap_or_default(), known, failures: 0 },
        }
    }

    fn forget(&self, key: &str) {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

fn own_key(sign_in: &SignIn) -> String {
    format!("{} {}", sign_in.account, sign_in.device.as_deref().unwrap_or_default())
}

/// What stands for an address: itself, or for IPv6 the /64 that one customer has all of.
pub fn network(address: &str) -> String {
    let Ok(address) = address.parse::<IpAddr>() else { return "unknown".to_owned() };
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}
