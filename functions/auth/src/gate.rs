//! The gate against guessing: who failed often waits before the next attempt counts (`domain::guesses`).
//!
//! Tallies are in Redis; a flush forgets them. While it is down each environment keeps its own in memory: a guesser gains as
//! many tries more as there are environments, and nobody is turned away because Redis is.

use std::{
    collections::HashMap,
    future::Future,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use halyard_cloud::redis::{Charged, End, Guesses, RedisError, SignIn};
use halyard_domain::{
    Clock, UserId,
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

impl Gate {
    /// A gate; an `open` one counts and refuses nobody, as limits do that are turned off.
    pub fn new(shared: Guesses, open: bool) -> Self {
        Self { shared, own: Mutex::default(), open }
    }

    /// Lets somebody sign in, unless they come too early. A wrong guess stays charged.
    ///
    /// # Errors
    /// [`AuthError::TooEarly`], or what the attempt says.
    pub async fn sign_in<T, F: Future<Output = Result<T, AuthError>>>(
        &self,
        who: SignIn,
        clock: &dyn Clock,
        attempt: impl FnOnce(Charged) -> F,
    ) -> Result<T, AuthError> {
        let key = format!("{} {}", who.account, who.device.as_deref().unwrap_or_default());
        let ladder = if who.device.is_some() { KNOWN } else { STRANGERS };
        let now = clock.now();
        let charged = self.charged(self.shared.attempt(&who, now).await, &key, &ladder, now)?;
        let outcome = attempt(charged).await;
        if let Some(end) = end(&outcome, End::SignedIn) {
            let now = clock.now();
            self.end(self.shared.ended(&who, &charged, end, now).await, &key, end, now);
        }
        outcome
    }

    /// Lets somebody whose account is known show a second factor or a password, likewise. `known`: from a place that has
    /// signed in to the account before.
    ///
    /// # Errors
    /// As [`Self::sign_in`].
    pub async fn prove<T>(
        &self,
        user: UserId,
        known: bool,
        clock: &dyn Clock,
        attempt: impl Future<Output = Result<T, AuthError>>,
    ) -> Result<T, AuthError> {
        let key = format!("user {user} {known}");
        let now = clock.now();
        self.charged(self.shared.attempt_by(user, known, now).await, &key, &SIGNED_IN, now)?;
        let outcome = attempt.await;
        if let Some(end) = end(&outcome, End::Right) {
            let now = clock.now();
            self.end(self.shared.ended_by(user, known, end, now).await, &key, end, now);
        }
        outcome
    }

    /// What Redis has charged, or this environment while there is no Redis.
    fn charged(
        &self,
        charged: Result<Charged, RedisError>,
        key: &str,
        ladder: &Ladder,
        now: DateTime<Utc>,
    ) -> Result<Charged, AuthError> {
        let charged = charged.unwrap_or_else(|error| {
            tracing::warn!(%error, "failures are counted in memory");
            self.charge(key, ladder, now)
        });
        if charged.wait.is_zero() || self.open {
            return Ok(charged);
        }
        let seconds = charged.wait.as_millis().div_ceil(1_000);
        Err(AuthError::TooEarly(u32::try_from(seconds).unwrap_or(u32::MAX)))
    }

    fn charge(&self, key: &str, ladder: &Ladder, now: DateTime<Utc>) -> Charged {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.len() >= MOST && !own.contains_key(key) {
            let oldest = own.iter().min_by_key(|(_, tally)| tally.at).map(|(key, _)| key.clone());
            oldest.and_then(|key| own.remove(&key));
        }
        let charged = Charged { wait: std::time::Duration::ZERO, known: false, failures: 0, spreads: false };
        match Tally::attempt(own.get(key).copied(), ladder, now) {
            Ok(after) => {
                own.insert(key.to_owned(), after);
                Charged { failures: after.failures, ..charged }
            }
            Err(wait) => Charged { wait: wait.to_std().unwrap_or_default(), ..charged },
        }
    }

    fn end(&self, told: Result<(), RedisError>, key: &str, end: End, now: DateTime<Utc>) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tally) = own.remove(key)
            && end == End::Undecided
            && let Some(before) = tally.undecided(now)
        {
            own.insert(key.to_owned(), before);
        }
        if let Err(error) = told {
            tracing::warn!(%error, "what was no failure stays counted as one");
        }
    }
}

/// What is to be said of an attempt; `None` of a wrong guess, which stays charged.
fn end<T>(outcome: &Result<T, AuthError>, right: End) -> Option<End> {
    match outcome {
        Ok(_) => Some(right),
        // The password was right.
        Err(AuthError::OtpRequired) => Some(End::Right),
        // `TooEarly`: past the password, and kept waiting at the second factor, which has a tally of its own.
        Err(AuthError::BadCredentials | AuthError::WrongOtp | AuthError::WrongField(_) | AuthError::TooEarly(_)) => {
            None
        }
        Err(_) => Some(End::Undecided),
    }
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
