//! What the lists have in common.

use std::fmt::Display;

use chrono::{DateTime, Utc};
use halyard_http::{Cursor, Items, PageQuery, Problem, Violations, is_rfc3339};

/// One more row than the page has tells whether there is a next page.
pub fn wanted(page: &PageQuery) -> i64 {
    i64::from(page.limit) + 1
}

/// The page, out of as many rows as were [`wanted`].
pub fn page<R, V: From<R>, K: Display>(mut rows: Vec<R>, page: &PageQuery, key: impl Fn(&R) -> K) -> Items<V> {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(|row| Cursor::encode(&key(row)));
    Items { items: rows.into_iter().map(V::from).collect(), next_cursor }
}

/// Filters that are texts: 1 to 120 characters without U+0000, which PostgreSQL cannot hold.
pub fn check_texts(texts: &[(&'static str, Option<&String>)]) -> Result<(), Problem> {
    let mut violations = Violations::default();
    for (pointer, text) in texts.iter().filter_map(|(pointer, text)| Some((*pointer, (*text)?))) {
        violations.check(!text.is_empty(), pointer, "too_short", "must have at least 1 character");
        violations.check(text.chars().count() <= 120, pointer, "too_long", "must have at most 120 characters");
        violations.check(!text.contains('\0'), pointer, "invalid_characters", "may not hold U+0000");
    }
    violations.into_result()
}

/// Filters that are times: those that RFC 3339 can write.
pub fn check_times(times: &[(&'static str, Option<DateTime<Utc>>)]) -> Result<(), Problem> {
    let mut violations = Violations::default();
    for (pointer, at) in times {
        violations.check(at.is_none_or(is_rfc3339), *pointer, "out_of_range", "must be in the years 0 to 9999");
    }
    violations.into_result()
}
