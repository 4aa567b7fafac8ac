//! Webhooks: when a delivery is tried again, when an endpoint is given up, and what a delivery may be.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Progress of one task is told at most this often (the trigger of migration 0015 says the same).
pub const PROGRESS_EVERY: Duration = Duration::seconds(10);
/// How long a delivery is tried, from when its first attempt was due.
pub const LONGEST: Duration = Duration::hours(24);
/// The longest that an endpoint's `Retry-After` is obeyed.
pub const LONGEST_RETRY_AFTER: Duration = Duration::hours(4);

/// The pauses after the first attempt, the second and so on: 23 hours and 43 minutes in all.
const PAUSES: [Duration; 10] = [
    Duration::seconds(5),
    Duration::seconds(30),
    Duration::minutes(2),
    Duration::minutes(10),
    Duration::minutes(30),
    Duration::hours(1),
    Duration::hours(2),
    Duration::hours(4),
    Duration::hours(7),
    Duration::hours(9),
];

/// Attempts of a delivery, if none succeeds and no endpoint asks for longer pauses.
pub const MOST_TRIES: i16 = 11;

/// How long after attempt number `tries` (1 is the first) has failed the next one follows; `None` when there is none.
///
/// `age` is how long ago the first attempt was due, `retry_after` what the endpoint asked for, `jitter` a random number in
/// `0.0..1.0`: the pause is 80 to 100 % of the published one, so that deliveries that failed together do not come back
/// together. An endpoint that asks for longer gets it, up to [`LONGEST_RETRY_AFTER`].
pub fn next_attempt(tries: i16, age: Duration, retry_after: Option<Duration>, jitter: f64) -> Option<Duration> {
    let pause = PAUSES.get(usize::try_from(tries.checked_sub(1)?).ok()?)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "at most nine hours in milliseconds"
    )]
    let off = (pause.num_milliseconds() as f64 * 0.2 * jitter.clamp(0.0, 1.0)) as i64;
    let asked = retry_after.unwrap_or_default().clamp(Duration::zero(), LONGEST_RETRY_AFTER);
    let pause = (*pause - Duration::milliseconds(off)).max(asked);
    (age + pause <= LONGEST).then_some(pause)
}

/// What `Retry-After` says (RFC 9110, section 10.2.3): seconds, or a date.
pub fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(i64::MAX).min(LONGEST.num_seconds());
        return Some(Duration::seconds(seconds));
    }
    let until = DateTime::parse_from_rfc2822(value).ok()?.with_timezone(&Utc) - now;
    (until > Duration::zero()).then(|| until.min(LONGEST))
}

/// An endpoint without a success for so long is disabled, once it had [`DISABLED_AFTER_FAILURES`] failures meanwhile.
pub const DISABLED_AFTER: Duration = Duration::days(3);
/// See [`DISABLED_AFTER`].
pub const DISABLED_AFTER_FAILURES: i32 = 20;

/// What an attempt's end says of the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Taken.
    Delivered,
    /// Not taken, and may be later.
    Again,
    /// The endpoint is gone for good (410), and disabled.
    Gone,
}

/// What a status code says.
pub fn judge(status: u16) -> Judgement {
    match status {
        200..=299 => Judgement::Delivered,
        410 => Judgement::Gone,
        _ => Judgement::Again,
    }
}

/// What a delivery tells about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A task.
    Task,
    /// A workflow.
    Workflow,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// To be sent, for the first time or again.
    Owed,
    /// The endpoint took it.
    Delivered,
    /// Given up: every attempt failed, or the target may not be called.
    Failed,
    /// Not sent: its endpoint was disabled, or its owner's account.
    Skipped,
    /// Not sent: later progress, or the end, took its place.
    Superseded,
}

/// A text that is no such word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not known here")]
pub struct UnknownWord(String);

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal,)+ }) => {
        impl $type {
            /// As the API and the database write it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(UnknownWord(text.to_owned())) }
            }
        }
    };
}

words!(SourceKind { Task = "task", Workflow = "workflow", });
words!(DeliveryState {
    Owed = "owed",
    Delivered = "delivered",
    Failed = "failed",
    Skipped = "skipped",
    Superseded = "superseded",
});

/// The beginning of an answer's body as it may be kept and shown: text, without what a terminal, a page or PostgreSQL would
/// stumble over, at most `most` bytes.
pub fn harmless(body: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(body);
    let mut out = String::with_capacity(text.len().min(most));
    for c in text.chars() {
        let odd = c.is_control() && !matches!(c, '\n' | '\t');
        let c = if odd { '\u{fffd}' } else { c };
        if out.len() + c.len_utf8() > most {
            break;
        }
        out.push(c);
    }
    out
}
