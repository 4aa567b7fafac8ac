//! SQS' limits, checked before a request leaves, so that the twin and the real service refuse the same things.
//! Source: Amazon SQS Developer Guide, "Amazon SQS message quotas".

use std::time::Duration;

use super::{Outgoing, QueueError};

/// The longest message, and the longest batch, in bytes of bodies and attributes.
pub const MAX_BYTES: usize = 256 * 1024;
/// Entries in a batch.
pub const MAX_BATCH: usize = 10;
/// The longest send delay.
pub const MAX_DELAY: Duration = Duration::from_mins(15);
/// The longest long poll.
pub const MAX_WAIT: Duration = Duration::from_secs(20);
/// The longest visibility timeout.
pub const MAX_VISIBILITY: Duration = Duration::from_hours(12);
/// Attributes of a message.
pub const MAX_ATTRIBUTES: usize = 10;

fn refuse<T>(why: impl Into<String>) -> Result<T, QueueError> {
    Err(QueueError::Refused(why.into()))
}

pub(super) fn check_send(messages: &[Outgoing]) -> Result<(), QueueError> {
    check_batch(messages.len())?;
    let mut total = 0;
    for message in messages {
        if message.body.is_empty() {
            return refuse("a message must not be empty");
        }
        if !message.body.chars().all(is_allowed) {
            return refuse("a message may only hold the characters of XML 1.0");
        }
        if message.delay > MAX_DELAY {
            return refuse("a send delay is at most 900 s");
        }
        check_attributes(&message.attributes)?;
        total += message.body.len();
        total +=
            message.attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len()).sum::<usize>();
    }
    if total > MAX_BYTES {
        return refuse("a batch and a message in it are at most 256 KiB");
    }
    Ok(())
}

fn check_attributes(attributes: &[(String, String)]) -> Result<(), QueueError> {
    if attributes.len() > MAX_ATTRIBUTES {
        return refuse("a message has at most 10 attributes");
    }
    for (name, value) in attributes {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || name.len() > 256 || !name.chars().all(allowed) {
            return refuse("an attribute's name has 1 to 256 letters, digits, '_', '-' and '.'");
        }
        if value.is_empty() || !value.chars().all(is_allowed) {
            return refuse("an attribute must not be empty and may only hold the characters of XML 1.0");
        }
    }
    Ok(())
}

pub(super) fn check_receive(max: u32, wait: Duration, visibility: Option<Duration>) -> Result<(), QueueError> {
    if !(1..=10).contains(&max) {
        return refuse("1 to 10 messages are received at once");
    }
    if wait > MAX_WAIT {
        return refuse("a poll waits at most 20 s");
    }
    visibility.map_or(Ok(()), check_visibility)
}

pub(super) fn check_visibility(timeout: Duration) -> Result<(), QueueError> {
    if timeout > MAX_VISIBILITY { refuse("a visibility timeout is at most 12 h") } else { Ok(()) }
}

pub(super) fn check_batch(entries: usize) -> Result<(), QueueError> {
    if (1..=MAX_BATCH).contains(&entries) { Ok(()) } else { refuse("a batch has 1 to 10 entries") }
}

/// SQS takes whole seconds; a part of one counts as one, since too late is safer than too early.
pub(super) fn whole_seconds(duration: Duration) -> i64 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// `#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF`
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}
