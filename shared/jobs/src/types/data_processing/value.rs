//! What one field's text is.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

/// A field, classified.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Empty, or one of the usual words for "not there".
    Null,
    /// A whole number that fits into 64 bits.
    Integer(i64),
    /// A decimal number.
    Float(f64),
    /// `true` or `false`, in any case.
    Boolean(bool),
    /// A calendar date, ISO 8601.
    Date(NaiveDate),
    /// A date and a time, ISO 8601 or with a space between; an offset is converted to UTC.
    DateTime(NaiveDateTime),
    /// A time of day.
    Time(NaiveTime),
    /// Anything else.
    Text(&'a str),
}

/// Classifies a field. White space around it does not count.
pub fn classify(field: &str) -> Value<'_> {
    let text = field.trim();
    if is_null(text) {
        return Value::Null;
    }
    let first = text.as_bytes()[0];
    if first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.') {
        number(text).or_else(|| temporal(text)).unwrap_or(Value::Text(text))
    } else if text.eq_ignore_ascii_case("true") {
        Value::Boolean(true)
    } else if text.eq_ignore_ascii_case("false") {
        Value::Boolean(false)
    } else {
        Value::Text(text)
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "NA" | "N/A" | "n/a" | "NaN" | "nan" | "NULL" | "null" | "None")
}

fn number<'a>(text: &str) -> Option<Value<'a>> {
    let digits = text.trim_start_matches(['+', '-']);
    let bytes = digits.as_bytes();
    // `007` is a code, not a number; `0.7` is a number.
    if text.len() - digits.len() > 1 || (bytes.len() > 1 && bytes[0] == b'0' && bytes[1].is_ascii_digit()) {
        return None;
    }
    // Rust also reads `inf` and `infinity`; CSVs mean words by them.
    if !bytes.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    if let Ok(n) = text.parse() {
        return Some(Value::Integer(n));
    }
    text.parse().ok().filter(|n: &f64| n.is_finite()).map(Value::Float)
}

fn temporal<'a>(text: &str) -> Option<Value<'a>> {
    const DATE_TIMES: [&str; 4] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    let bytes = text.as_bytes();
    if bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-' {
        return text.parse().ok().map(Value::Date);
    }
    if bytes.len() > 10 && bytes[4] == b'-' {
        let bare = text.strip_suffix('Z').unwrap_or(text);
        return DATE_TIMES
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(bare, form).ok())
            .or_else(|| chrono::DateTime::parse_from_rfc3339(&text.replacen(' ', "T", 1)).ok().map(|t| t.naive_utc()))
            .map(Value::DateTime);
    }
    if matches!(bytes.len(), 4..=15) && (bytes[1] == b':' || bytes[2] == b':') {
        return ["%H:%M", "%H:%M:%S%.f"]
            .iter()
            .find_map(|form| NaiveTime::parse_from_str(text, form).ok())
            .map(Value::Time);
    }
    None
}
