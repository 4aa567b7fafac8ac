//! Guessing: how long whoever failed waits before the next attempt counts.
//!
//! Delays come before locks, and a lock is only the longest delay: nobody has to be called to open it. An attempt is
//! charged when it begins: a hundred guesses sent at once are a hundred guesses. One that was right forgets those before it;
//! one that nobody could decide on takes back its own charge and no other.
//! Sources: OWASP Authentication Cheat Sheet, "Account Lockout"; OWASP, "Slow Down Online Guessing Attacks with Device
//! Cookies"; NIST SP 800-63B, section 5.2.2 (no more than 100 failures in a row).

use chrono::{DateTime, Duration, Utc};

/// How waits grow with failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    /// So many failures cost nothing.
    pub free: u32,
    /// Seconds to wait after each further one; the last stands for all that follow.
    pub waits: &'static [u32],
    /// After so many quiet seconds all is forgotten.
    pub memory: u32,
}

/// Guesses at one account by whoever was never seen there: a day at the top of it is 96 guesses, for all strangers
/// together.
pub const STRANGERS: Ladder = Ladder { free: 5, waits: &[1, 2, 4, 8, 15, 30, 60, 120, 300, 900], memory: 24 * 60 * 60 };
/// Guesses at one account from one device or address that has signed in to it before. It has a tally of its own: what
/// strangers do does not lock it out.
pub const KNOWN: Ladder = Ladder { free: 10, waits: &[1, 2, 4, 8, 15, 30, 60, 120, 300], memory: 24 * 60 * 60 };
/// Guesses at a second factor, or at the password of somebody who is signed in, per account.
pub const SIGNED_IN: Ladder = Ladder { free: 5, waits: &[1, 2, 4, 8, 15, 30, 60, 120, 300, 900], memory: 24 * 60 * 60 };
/// Different accounts that one address has failed at within [`SPREAD`]: stuffing of leaked passwords tries each account
/// once or twice.
pub const ADDRESS: Ladder = Ladder { free: 20, waits: &[5, 10, 30, 60, 120, 300], memory: 60 * 60 };

/// For how many seconds an account counts among those that an address has failed at.
pub const SPREAD: u32 = 60 * 60;
/// For how many seconds an address stays known to an account after it has signed in there.
pub const SEEN: u32 = 30 * 24 * 60 * 60;
/// Seconds over which failures of all accounts together are counted.
pub const STORM_WINDOW: u32 = 10 * 60;
/// More failures than this in a [`STORM_WINDOW`] are a storm: strangers get one free failure then.
pub const STORM: u32 = 3_000;

impl Ladder {
    /// The wait after `failures`.
    pub fn wait(&self, failures: u32) -> Duration {
        let Some(step) = failures.checked_sub(self.free + 1) else { return Duration::zero() };
        let step = usize::try_from(step).unwrap_or(usize::MAX).min(self.waits.len().saturating_sub(1));
        Duration::seconds(self.waits.get(step).copied().unwrap_or_default().into())
    }

    /// The ladder in a storm.
    #[must_use]
    pub fn in_a_storm(self) -> Self {
        Self { free: self.free.min(1), ..self }
    }
}

/// What is remembered of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub failures: u32,
    /// No attempt counts before.
    pub until: DateTime<Utc>,
    /// The latest attempt.
    pub at: DateTime<Utc>,
}

impl Tally {
    /// Charges an attempt at `now` as a failure: the tally after it. `None` is a tally that was never begun.
    ///
    /// # Errors
    /// How long to wait, when it is too early; then nothing is charged.
    pub fn attempt(before: Option<Self>, ladder: &Ladder, now: DateTime<Utc>) -> Result<Self, Duration> {
        let before = before.filter(|tally| now - tally.at < Duration::seconds(ladder.memory.into()));
        match before {
            Some(tally) if tally.until > now => Err(tally.until - now),
            _ => {
                let failures = before.map_or(0, |tally| tally.failures) + 1;
                Ok(Self { failures, until: now + ladder.wait(failures), at: now })
            }
        }
    }

    /// Takes the charge of an attempt back that nobody could decide on.
    #[must_use]
    pub fn undecided(self, now: DateTime<Utc>) -> Option<Self> {
        (self.failures > 1).then(|| Self { failures: self.failures - 1, until: now, at: self.at })
    }
}
