//! Times as the API writes them.

use chrono::{DateTime, SecondsFormat, Utc};

/// RFC 3339, UTC, `Z`; fractions of a second only when there are any. `DateTime<Utc>` fields of a response serialise
/// the same way by themselves.
pub fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
