//! Times as the API writes them.

use chrono::{DateTime, Datelike as _, SecondsFormat, Utc};

/// RFC 3339, UTC, `Z`; fractions of a second only when there are any. `DateTime<Utc>` fields of a response serialise
/// the same way by themselves.
pub fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Whether RFC 3339 can say it: years 0 to 9999. chrono reads others, too, and PostgreSQL does not have all of those. A leap
/// second is the next one there, and may be that of another year.
pub fn is_rfc3339(at: DateTime<Utc>) -> bool {
    DateTime::from_timestamp_micros(at.timestamp_micros()).is_some_and(|at| (0..=9999).contains(&at.year()))
}
