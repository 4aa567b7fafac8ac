//! Percent-encoding, as API Gateway decodes it, and the time format of its access logs.

use std::{borrow::Cow, fmt::Write as _};

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};

/// Decodes one segment of a path: `%2F` becomes a slash inside the value, `+` stays.
pub fn decode_path(text: &str) -> Cow<'_, str> {
    if text.contains('%') { decode(text, false).into() } else { Cow::Borrowed(text) }
}

/// Decodes a name or a value of a query string: `+` is a space.
pub fn decode_query(text: &str) -> Cow<'_, str> {
    if text.contains(['%', '+']) { decode(text, true).into() } else { Cow::Borrowed(text) }
}

fn decode(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = || {
            let digit = |offset: usize| char::from(*bytes.get(at + offset)?).to_digit(16);
            u8::try_from(digit(1)? * 16 + digit(2)?).ok()
        };
        match (bytes[at], pair()) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) if plus_is_space => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// The pairs of a query string, decoded, in their order.
pub fn query_pairs(raw: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_query(name), decode_query(value))
    })
}

/// `23/Nov/2026:15:04:05 +0000`, as `requestContext.time` has it.
pub fn log_time(at: DateTime<Utc>) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut out = String::with_capacity(26);
    let month = MONTHS[at.month0() as usize];
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "{:02}/{month}/{:04}:{:02}:{:02}:{:02} +0000",
        at.day(),
        at.year(),
        at.hour(),
        at.minute(),
        at.second()
    );
    out
}
