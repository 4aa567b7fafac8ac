//! Live counters: one hash per minute, written in the round trip of the rate limits, read by the monitoring pages.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use halyard_domain::histogram;

use super::{Redis, RedisError, script::Arg};

/// How long a minute's counters are kept, in seconds.
pub const KEPT: i64 = 2 * 3600;

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

/// The minute that a moment lies in, in minutes since 1970.
fn minute(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(60)
}

pub(super) fn key(namespace: &str, minute: i64) -> String {
    format!("{{{namespace}}}:minute:{minute}")
}

/// Counters to raise, by minute and field.
#[derive(Debug, Default)]
pub(super) struct Increments(BTreeMap<(i64, String), u64>);

impl Increments {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn visit(&mut self, now: DateTime<Utc>, route: &str) {
        self.add(minute(now), "n".to_owned(), 1);
        self.add(minute(now), format!("r:{route}"), 1);
    }

    pub fn outcome(&mut self, outcome: &Outcome) {
        let at = minute(outcome.at);
        self.add(at, format!("c:{}", outcome.status / 100), 1);
        let micros = u64::try_from(outcome.duration.as_micros()).unwrap_or(u64::MAX);
        self.add(at, format!("t:{}", outcome.route), micros);
        self.add(at, format!("h:{}", histogram::bucket(outcome.duration.as_secs_f64())), 1);
    }

    fn add(&mut self, minute: i64, field: String, amount: u64) {
        *self.0.entry((minute, field)).or_default() += amount;
    }

    /// The minutes touched, ascending.
    pub fn buckets(&self) -> impl Iterator<Item = i64> {
        self.0.keys().map(|(minute, _)| *minute).collect::<BTreeSet<_>>().into_iter()
    }

    /// Writes the triples of the script; the first bucket is key number `before + 1`.
    pub fn write(&self, args: &mut Vec<Arg>, before: i64) {
        let (mut index, mut last) = (before, None);
        for ((minute, field), amount) in &self.0 {
            if last != Some(*minute) {
                index += 1;
                last = Some(*minute);
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
            pipeline.cmd("HGETALL").arg(key(self.namespace(), minute(now) - back));
        }
        let hashes: Vec<BTreeMap<String, u64>> = self.run_all(&pipeline).await?;
        Ok(hashes.into_iter().map(MinuteCounts::from_fields).collect())
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
