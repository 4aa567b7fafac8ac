//! Calls of the API by user: counted by minute in Redis, folded by beat into the database, which says up to which minute it has.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};

/// How many minutes Redis keeps, the present one included. A minute that was not folded by then counts for nothing.
pub const KEPT: i64 = 120;
/// The minutes before the present one that may still change: hosts' clocks differ.
const OPEN: i64 = 1;

/// The minute that a moment lies in, in minutes since 1970.
pub fn minute(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(60)
}

/// The minutes that only Redis knows of, when those up to `folded` are in the database. Empty when the clock was put back.
pub fn live(folded: i64, now: DateTime<Utc>) -> RangeInclusive<i64> {
    from(folded, now)..=minute(now)
}

/// The minutes that can be folded, when those up to `folded` are: what happens in them has happened.
pub fn closed(folded: i64, now: DateTime<Utc>) -> RangeInclusive<i64> {
    from(folded, now)..=minute(now) - 1 - OPEN
}

fn from(folded: i64, now: DateTime<Utc>) -> i64 {
    (folded + 1).max(minute(now) + 1 - KEPT)
}
