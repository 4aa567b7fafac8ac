//! Tallies of failed sign-ins (`domain::guesses`), each decision in one round trip.
//!
//! All keys of the namespace share one hash tag: a decision looks at an account, an address and the whole at once. A
//! flush forgets failures and known addresses; known devices show themselves.

use std::{sync::LazyLock, time::Duration};

use chrono::{DateTime, Utc};
use halyard_domain::{
    UserId,
    guesses::{ADDRESS, KNOWN, Ladder, SEEN, SIGNED_IN, SPREAD, STORM, STORM_WINDOW, STRANGERS},
};
use redis::Script;

use super::{Redis, RedisError, script::Arg};

const ATTEMPT: &str = include_str!("guesses.lua");
const END: &str = include_str!("guessed.lua");
const TALLY: &str = include_str!("tally.lua");
static ATTEMPT_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(ATTEMPT));
static END_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(END));
static TALLY_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(TALLY));

/// An attempt to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// The name as it was typed, in lower case.
    pub account: String,
    /// The client's address, or the network that stands for it.
    pub address: String,
    /// The device, if it has shown that it signed in to this account before.
    pub device: Option<String>,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charged {
    /// Zero: it may go on, and is charged. Else nothing is, and it comes too early by so much.
    pub wait: Duration,
    /// Was the device or the address known?
    pub known: bool,
    /// Failures in a row, this attempt included.
    pub failures: u32,
    /// Is the account a new one among those that the address has failed at?
    pub spreads: bool,
}

/// How an attempt ended that was let in, unless it failed: that needs no word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nobody found out whether it was right: only its own charge is given back.
    Undecided,
    /// It was right: all failures are forgotten.
    Right,
    /// Likewise, and the address is known to the account from now on.
    SignedIn,
}

impl End {
    fn as_str(self) -> &'static str {
        match self {
            Self::Undecided => "undecided",
            Self::Right => "right",
            Self::SignedIn => "signed_in",
        }
    }
}

/// The tallies.
#[derive(Debug, Clone)]
pub struct Guesses(Redis);

impl Guesses {
    /// Tallies in the namespace of `redis`.
    pub fn new(redis: Redis) -> Self {
        Self(redis)
    }

    /// Charges an attempt to sign in.
    pub async fn attempt(&self, sign_in: &SignIn, now: DateTime<Utc>) -> Result<Charged, RedisError> {
        let mut args = vec![
            Arg::Int(now.timestamp_millis()),
            Arg::Int(sign_in.device.is_some().into()),
            Arg::Text(sign_in.address.clone()),
            Arg::Text(sign_in.account.clone()),
            millis(SEEN),
            millis(SPREAD),
            Arg::Int(STORM.into()),
            millis(STORM_WINDOW),
        ];
        for ladder in [STRANGERS, KNOWN, ADDRESS] {
            push(&mut args, &ladder);
        }
        charged(&self.0.script::<Vec<i64>>(&ATTEMPT_SCRIPT, ATTEMPT, &self.keys(sign_in, now), &args).await?)
    }

    /// Says how an attempt to sign in ended.
    pub async fn ended(
        &self,
        sign_in: &SignIn,
        charged: &Charged,
        end: End,
        now: DateTime<Utc>,
    ) -> Result<(), RedisError> {
        let [seen, strangers, known, _, accounts, all] = self.keys(sign_in, now);
        let keys = [if charged.known { known } else { strangers }, accounts, all, seen];
        let args = [
            Arg::Int(now.timestamp_millis()),
            Arg::Text(end.as_str().to_owned()),
            Arg::Int(charged.spreads.into()),
            Arg::Text(sign_in.account.clone()),
            Arg::Text(sign_in.address.clone()),
            millis(SEEN),
        ];
        self.0.script::<i64>(&END_SCRIPT, END, &keys, &args).await.map(drop)
    }

    /// Charges an attempt by somebody whose account is known already: a second factor, a password asked for once more.
    /// Whoever comes from a known place has a tally of their own there as well.
    pub async fn attempt_by(&self, user: UserId, known: bool, now: DateTime<Utc>) -> Result<Charged, RedisError> {
        let mut args = vec![Arg::Int(now.timestamp_millis())];
        push(&mut args, &SIGNED_IN);
        charged(&self.0.script::<Vec<i64>>(&TALLY_SCRIPT, TALLY, &[self.user_key(user, known)], &args).await?)
    }

    /// Says how that ended.
    pub async fn ended_by(&self, user: UserId, known: bool, end: End, now: DateTime<Utc>) -> Result<(), RedisError> {
        let args = [Arg::Int(now.timestamp_millis()), Arg::Text(end.as_str().to_owned())];
        self.0.script::<i64>(&END_SCRIPT, END, &[self.user_key(user, known)], &args).await.map(drop)
    }

    fn keys(&self, sign_in: &SignIn, now: DateTime<Utc>) -> [String; 6] {
        let SignIn { account, address, device } = sign_in;
        let window = now.timestamp().div_euclid(STORM_WINDOW.into());
        let device = device.as_deref().unwrap_or(address);
        [
            format!("seen:{account}"),
            format!("strangers:{account}"),
            format!("known:{account}:{device}"),
            format!("address:{address}"),
            format!("accounts:{address}"),
            format!("all:{window}"),
        ]
        .map(|name| self.key(&name))
    }

    fn user_key(&self, user: UserId, known: bool) -> String {
        self.key(&format!("user:{user}:{}", if known { "known" } else { "strangers" }))
    }

    fn key(&self, name: &str) -> String {
        format!("{{{}}}:guess:{name}", self.0.namespace())
    }
}

fn push(args: &mut Vec<Arg>, ladder: &Ladder) {
    let count = i64::try_from(ladder.waits.len()).unwrap_or_default();
    args.extend([millis(ladder.memory), Arg::Int(ladder.free.into()), Arg::Int(count)]);
    args.extend(ladder.waits.iter().copied().map(millis));
}

fn millis(seconds: u32) -> Arg {
    Arg::Int(i64::from(seconds) * 1_000)
}

fn charged(answer: &[i64]) -> Result<Charged, RedisError> {
    let [wait, known, failures, spreads] = *answer else {
        return Err(RedisError::Unexpected(format!("{} numbers of a tally", answer.len())));
    };
    Ok(Charged {
        wait: Duration::from_millis(wait.max(0).unsigned_abs()),
        known: known == 1,
        failures: u32::try_from(failures).unwrap_or(u32::MAX),
        spreads: spreads == 1,
    })
}
