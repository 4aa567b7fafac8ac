//! A row's version as an entity tag, and what `If-Match` asks of it (RFC 9110, section 13.1.1).

use http::{HeaderMap, header};

/// The tag of a version. It stands for what the route's PUT or PATCH can change; what else an answer shows moves on its own.
pub fn tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// What `If-Match` asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Condition {
    /// No header, or `*`.
    Any,
    /// One of these tags.
    OneOf(Vec<String>),
}

/// Reads `If-Match`.
pub fn read(headers: &HeaderMap) -> Condition {
    let lines = headers.get_all(header::IF_MATCH);
    let tags: Vec<String> = lines
        .iter()
        .flat_map(|line| line.to_str().unwrap_or_default().split(','))
        .map(|tag| tag.trim().to_owned())
        .collect();
    if tags.is_empty() || tags.iter().any(|tag| tag == "*") { Condition::Any } else { Condition::OneOf(tags) }
}

impl Condition {
    /// Does it hold for this version? Weak tags never match: the comparison is the strong one.
    pub fn holds(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.contains(&tag(version)),
        }
    }
}
