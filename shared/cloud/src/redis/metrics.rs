//! Live counters: one hash per minute, written in the round trip of the rate limits, read by the monitoring pages; and
//! another of the calls of each user, which beat folds into the database.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Duration,
};

use chrono::{DateTime, Utc};
use halyard_domain::{UserId, api_calls::minute, histogram};

use super::{Redis, RedisError, script::Arg};

/// How long a minute's counters are kept, in seconds.
pub const KEPT: i64 = halyard_domain::api_calls::KEPT * 60;

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The route, as the template writes it.
    pub route: String,
    /// The answer's status code; counted by class (2xx, 4xx, ...).
    pub status: u16,
    /// How long it took.
    pub duration: Duration,
    /// When it ended.
    pub at: DateTime<Utc>,
}

/// What one minute has counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MinuteCounts {
    /// Requests that came in.
    pub requests: u64,
    /// The same by route.
    pub routes: BTreeMap<String, u64>,
    /// Answers by the first digit of their status.
    pub classes: BTreeMap<u8, u64>,
    /// Microseconds that answers took, by route.
    pub micros: BTreeMap<String, u64>,
    /// Answers by bucket of their duration ([`histogram::bucket`]).
    pub durations: BTreeMap<i16, u64>,
}

/// A hash of counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bucket {
    /// What a minute has counted.
    Minute(i64),
    /// The calls of each user in a minute.
    Calls(i64),
}

impl Bucket {
    pub fn key(self, namespace: &str) -> String {
        match self {
            Self::Minute(minute) => format!("{{{namespace}}}:minute:{minute}"),
            Self::Calls(minute) => format!("{{{namespace}}}:calls:{minute}"),
        }
    }
}

/// Counters to raise, by hash and field.
#[derive(Debug, Default)]
pub(super) struct Increments(BTreeMap<(Bucket, String), u64>);

impl Increments {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn visit(&mut self, now: DateTime<Utc>, route: &str) {
        let at = Bucket::Minute(minute(now));
        self.add(at, "n".to_owned(), 1);
        self.add(at, format!("r:{route}"), 1);
    }

    pub fn call(&mut self, now: DateTime<Utc>, user: UserId) {
        self.add(Bucket::Calls(minute(now)), user.to_string(), 1);
    }

    pub fn outcome(&mut self, outcome: &Outcome) {
        let at = Bucket::Minute(minute(outcome.at));
        self.add(at, format!("c:{}", outcome.status / 100), 1);
        let micros = u64::try_from(outcome.duration.as_micros()).unwrap_or(u64::MAX);
        self.add(at, format!("t:{}", outcome.route), micros);
        self.add(at, format!("h:{}", histogram::bucket(outcome.duration.as_secs_f64())), 1);
    }

    fn add(&mut self, bucket: Bucket, field: String, amount: u64) {
        *self.0.entry((bucket, field)).or_default() += amount;
    }

    /// The hashes touched, ascending.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> {
        self.0.keys().map(|(bucket, _)| *bucket).collect::<BTreeSet<_>>().into_iter()
    }

    /// Writes the triples of the script; the first bucket is key number `before + 1`.
    pub fn write(&self, args: &mut Vec<Arg>, before: i64) {
        let (mut index, mut last) = (before, None);
        for ((bucket, field), amount) in &self.0 {
            if last != Some(*bucket) {
                index += 1;
                last = Some(*bucket);
            }
            let amount = i64::try_from(*amount).unwrap_or(i64::MAX);
            args.extend([Arg::Int(index), Arg::Text(field.clone()), Arg::Int(amount)]);
        }
    }
}

impl Redis {
    /// The counters of the last `minutes` minutes, the present one first; one round trip. A minute without requests is
    /// all zeros.
    pub async fn live_counts(&self, now: DateTime<Utc>, minutes: u32) -> Result<Vec<MinuteCounts>, RedisError> {
        let mut pipeline = redis::pipe();
        for back in 0..i64::from(minutes) {
            pipeline.cmd("HGETALL").arg(Bucket::Minute(minute(now) - back).key(self.namespace()));
        }
        let hashes: Vec<BTreeMap<String, u64>> = self.run_all(&pipeline).await?;
        Ok(hashes.into_iter().map(MinuteCounts::from_fields).collect())
    }
}

/// How long the calls of a minute are kept once they are folded, in seconds: for whoever asked just before how far that was.
const LINGER: i64 = 300;

impl Redis {
    /// The calls of each user in these minutes; one round trip.
    pub async fn calls(&self, minutes: RangeInclusive<i64>) -> Result<BTreeMap<UserId, i64>, RedisError> {
        let mut pipeline = redis::pipe();
        for minute in minutes {
            pipeline.cmd("HGETALL").arg(Bucket::Calls(minute).key(self.namespace()));
        }
        let hashes: Vec<BTreeMap<i64, i64>> = self.run_all(&pipeline).await?;
        let mut calls = BTreeMap::new();
        for (user, n) in hashes.into_iter().flatten() {
            *calls.entry(UserId(user)).or_default() += n;
        }
        Ok(calls)
    }

    /// The calls of one user in these minutes; one round trip.
    pub async fn calls_of(&self, user: UserId, minutes: RangeInclusive<i64>) -> Result<i64, RedisError> {
        let mut pipeline = redis::pipe();
        for minute in minutes {
            pipeline.cmd("HGET").arg(Bucket::Calls(minute).key(self.namespace())).arg(user.0);
        }
        let calls: Vec<Option<i64>> = self.run_all(&pipeline).await?;
        Ok(calls.into_iter().flatten().sum())
    }

    /// Lets go of the calls of these minutes soon; one round trip.
    pub async fn forget_calls(&self, minutes: RangeInclusive<i64>) -> Result<(), RedisError> {
        let mut pipeline = redis::pipe();
        for minute in minutes {
            pipeline.cmd("EXPIRE").arg(Bucket::Calls(minute).key(self.namespace())).arg(LINGER);
        }
        self.run_all::<Vec<i64>>(&pipeline).await.map(drop)
    }
}

impl MinuteCounts {
    fn from_fields(fields: BTreeMap<String, u64>) -> Self {
        let mut counts = Self::default();
        for (field, n) in fields {
            match field.split_once(':') {
                None => counts.requests = n,
                Some(("r", route)) => _ = counts.routes.insert(route.to_owned(), n),
                Some(("t", route)) => _ = counts.micros.insert(route.to_owned(), n),
                Some(("c", class)) => _ = class.parse().map(|class| counts.classes.insert(class, n)),
                Some(("h", bucket)) => _ = bucket.parse().map(|bucket| counts.durations.insert(bucket, n)),
                Some(_) => {}
            }
        }
        counts
    }
}
