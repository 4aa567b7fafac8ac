//! `Idempotency-Key`: which keys there are, and what is done about a request whose key was seen before.
//!
//! Source: draft-ietf-httpapi-idempotency-key-header-07.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// For how long a key is remembered, from its first request.
pub const KEPT: TimeDelta = TimeDelta::hours(24);
/// For how long a request may be under way before another one with its key may try: longer than the timeout of any function
/// that answers requests, so that it is over by then, whatever became of it.
pub const LEASE: TimeDelta = TimeDelta::seconds(40);
/// The longest key, in characters.
const LONGEST: usize = 255;
/// The header's value as a regular expression.
pub const PATTERN: &str = r#"^("([ !#-\[\]-~]|\\["\\]){1,255}"|[!#-+\x2D-:<-\[\]-~]{1,255})$"#;

/// The key of a request, as its client chose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// Why a header is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Nothing, or only quotes.
    #[error("it is empty")]
    Empty,
    /// More than 255 characters.
    #[error("it has more than 255 characters")]
    TooLong,
    /// No string as the draft has it, and no plain word either.
    #[error("it is neither a quoted string nor a word of visible ASCII characters")]
    Malformed,
}

impl IdempotencyKey {
    /// Reads the header's value: a String of RFC 9651, section 3.3.3 (`"8e03978e-40d5"`), or, as most clients send it, the
    /// same without quotes. Both are one key. [`PATTERN`] says the same.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(header: &[u8]) -> Result<Self, InvalidKey> {
        let header = header.trim_ascii();
        let key = match header.split_first() {
            None => return Err(InvalidKey::Empty),
            Some((b'"', rest)) => unquoted(rest)?,
            Some(_) if header.iter().all(|byte| is_plain(*byte)) => String::from_utf8_lossy(header).into_owned(),
            Some(_) => return Err(InvalidKey::Malformed),
        };
        match key.len() {
            0 => Err(InvalidKey::Empty),
            1..=LONGEST => Ok(Self(key)),
            _ => Err(InvalidKey::TooLong),
        }
    }

    /// The key without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// May it stand in a key without quotes? What would begin or end something else may not.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"\\,;".contains(&byte)
}

/// What stands between the quotes, of which the first has been read.
fn unquoted(rest: &[u8]) -> Result<String, InvalidKey> {
    let (mut key, mut bytes) = (String::new(), rest.iter());
    loop {
        match bytes.next().ok_or(InvalidKey::Malformed)? {
            b'"' => break,
            b'\\' => match bytes.next() {
                Some(escaped @ (b'"' | b'\\')) => key.push(char::from(*escaped)),
                _ => return Err(InvalidKey::Malformed),
            },
            byte @ b' '..=b'~' => key.push(char::from(*byte)),
            _ => return Err(InvalidKey::Malformed),
        }
    }
    // The draft knows no parameters.
    if bytes.as_slice().is_empty() { Ok(key) } else { Err(InvalidKey::Malformed) }
}

/// What a request asks for: one key stands for one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Of method, path with query, and body, byte for byte.
    pub fn of(method: &str, target: &str, body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for part in [method.as_bytes(), target.as_bytes(), body] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hex(&hash.finalize()))
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An answer that is given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// Its status.
    pub status: u16,
    /// Its own headers: those that every answer has are made anew.
    pub headers: Vec<(String, String)>,
    /// Its body; `None` for one that is not kept, because it holds a secret or is too large.
    pub body: Option<String>,
}

/// What is remembered of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What was asked for under it.
    pub fingerprint: Fingerprint,
    /// The first of the ids that the request makes things with, whoever carries it out.
    #[serde(with = "id_text")]
    pub first_id: Uuid,
    /// Which request is carrying it out: random.
    pub owner: String,
    /// When it was first sent.
    pub begun_at: DateTime<Utc>,
    /// Until when nobody else may carry it out.
    pub leased_until: DateTime<Utc>,
    /// What was answered, once that is known.
    pub answer: Option<KeptAnswer>,
}

/// A request that wants to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What it asks for.
    pub fingerprint: Fingerprint,
    /// The id that it would make things with, were it the first.
    pub first_id: Uuid,
    /// Tells it from every other: random.
    pub owner: String,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is to be carried out.
    Held(Held),
    /// It was answered.
    Replay(KeptAnswer),
    /// Its key was another request's.
    Mismatch,
    /// Another one with its key is under way.
    Running,
}

/// A key that a request holds while it is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Where its record is.
    pub slot: String,
    /// The record's version, for the next change.
    pub version: i64,
    /// The record.
    pub record: Record,
    /// Was the request begun before, so that things with its ids may be there already?
    pub again: bool,
}

/// What is done about a request whose key is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The key is free again: 24 hours have passed.
    Expired,
    /// It was another request's: 422.
    Mismatch,
    /// It was answered: the same again.
    Replay(KeptAnswer),
    /// It is under way: 409.
    Running,
    /// It was begun and given up, or whoever began it is gone: it is carried out, with the ids of before.
    TakeOver,
}

impl Record {
    /// Of a request that begins now.
    pub fn new(fingerprint: Fingerprint, first_id: Uuid, owner: String, now: DateTime<Utc>) -> Self {
        Self { fingerprint, first_id, owner, begun_at: now, leased_until: now + LEASE, answer: None }
    }

    /// When it is forgotten.
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.begun_at + KEPT
    }

    /// What is done about a request with its key.
    pub fn judge(&self, fingerprint: &Fingerprint, now: DateTime<Utc>) -> Verdict {
        if now >= self.expires_at() {
            return Verdict::Expired;
        }
        match &self.answer {
            _ if self.fingerprint != *fingerprint => Verdict::Mismatch,
            Some(answer) => Verdict::Replay(answer.clone()),
            None if now < self.leased_until => Verdict::Running,
            None => Verdict::TakeOver,
        }
    }

    /// The same, carried out by somebody else.
    #[must_use]
    pub fn taken_over(self, owner: String, now: DateTime<Utc>) -> Self {
        Self { owner, leased_until: now + LEASE, ..self }
    }
}

/// An id as text.
mod id_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use uuid::Uuid;

    pub fn serialize<S: Serializer>(id: &Uuid, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(id)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Uuid, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Uuid::parse_str(&text).map_err(D::Error::custom)
    }
}

/// The n-th id of a request that makes several things, from 0: the same ones whenever it is carried out again.
pub fn nth_id(first: Uuid, n: u32) -> Uuid {
    if n == 0 {
        return first;
    }
    let mut hash = Sha256::new();
    hash.update(first.as_bytes());
    hash.update(n.to_be_bytes());
    let mut bytes = *first.as_bytes();
    // A ULID's first 48 bits are its time.
    bytes[6..].copy_from_slice(&hash.finalize()[..10]);
    Uuid::from_bytes(bytes)
}
