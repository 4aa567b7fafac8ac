//! The audit log's chain: the hash of each entry covers its fields and the hash of the entry before.
//!
//! `migrations/0007_audit_chain.sql` computes the hashes when entries are written; this computes them once more, apart from
//! the database, whose functions could be replaced by whoever tampers with its rows.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

/// SHA-256.
pub type Hash = [u8; 32];

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor_id: Option<i64>,
    /// What.
    pub action: String,
    /// To what.
    pub target: String,
    /// The details, exactly as PostgreSQL writes the `jsonb`.
    pub detail: String,
    /// For which request.
    pub request_id: Option<String>,
    /// The hash that stands beside it.
    pub hash: Vec<u8>,
}

impl Entry {
    /// The hash that follows from the hash before and the fields.
    pub fn hash_after(&self, previous: &[u8]) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update(previous);
        hasher.update(b"halyard.audit.1");
        let (id, at) = (self.id.to_string(), self.at.timestamp_micros().to_string());
        let actor = self.actor_id.map(|id| id.to_string());
        let fields = [
            Some(id.as_str()),
            Some(at.as_str()),
            actor.as_deref(),
            Some(self.action.as_str()),
            Some(self.target.as_str()),
            Some(self.detail.as_str()),
            self.request_id.as_deref(),
        ];
        for field in fields {
            match field {
                Some(text) => hasher.update(format!("{}:{text}", text.len())),
                None => hasher.update("~"),
            }
        }
        hasher.finalize().into()
    }

    fn link(&self) -> Link {
        Link { id: self.id, hash: self.hash.clone() }
    }
}

/// A place in the chain: an entry's number and its hash. As text: `42:` and the hash in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The entry's number; 0 before the first one.
    pub id: i64,
    /// Its hash.
    pub hash: Vec<u8>,
}

impl Link {
    /// Before the first entry.
    pub fn start() -> Self {
        Self { id: 0, hash: vec![0; 32] }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, hex(&self.hash))
    }
}

/// A text that names no place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a number, a colon and 64 hexadecimal digits")]
pub struct NoLink;

impl FromStr for Link {
    type Err = NoLink;
    fn from_str(text: &str) -> Result<Self, NoLink> {
        let (id, hash) = text.split_once(':').ok_or(NoLink)?;
        let id: i64 = id.parse().map_err(|_| NoLink)?;
        if id < 0 || hash.len() != 64 || !hash.is_ascii() {
            return Err(NoLink);
        }
        let byte = |at: usize| u8::from_str_radix(&hash[at..at + 2], 16).map_err(|_| NoLink);
        let link = Self { id, hash: (0..64).step_by(2).map(byte).collect::<Result<_, _>>()? };
        // One spelling only: no leading zeros, no signs.
        if link.to_string() == text { Ok(link) } else { Err(NoLink) }
    }
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The entry's hash does not follow from the entry before and its own fields: it was changed, moved or slipped in, or
    /// the one before was.
    Altered,
    /// Likewise, and numbers before it are missing: entries were removed.
    Missing,
    /// The entry that verification started from has another hash now, or is gone: what was there before was rewritten.
    Rewritten,
    /// The last entry is not the one that the chain's head names: the end was cut off, or written past the chain.
    Ending,
}

impl Fault {
    /// The stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::Missing => "missing",
            Self::Rewritten => "rewritten",
            Self::Ending => "ending",
        }
    }
}

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// How many entries were looked at.
    pub checked: usize,
    /// What does not fit, and at which entry.
    pub faults: Vec<(i64, Fault)>,
    /// Where the entries looked at end.
    pub end: Link,
}

/// Verifies entries in the order of their numbers, from the one after `from` on; the entry `from` itself may stand before
/// them. `head`: what the chain's head says, if these are the last entries.
///
/// A fault does not stop it: the next entry is held against the hash that is stored, so that each fault is told by itself.
pub fn verify(from: &Link, entries: &[Entry], head: Option<&Link>) -> Findings {
    let mut faults = Vec::new();
    let mut end = from.clone();
    let mut rest = entries;
    if from.id > 0 {
        match entries.split_first() {
            Some((anchor, after)) if anchor.id == from.id => {
                if anchor.hash != from.hash {
                    faults.push((from.id, Fault::Rewritten));
                }
                (end, rest) = (anchor.link(), after);
            }
            _ => faults.push((from.id, Fault::Rewritten)),
        }
    }
    for entry in rest {
        if entry.hash != entry.hash_after(&end.hash) {
            let gap = entry.id > end.id + 1;
            faults.push((entry.id, if gap { Fault::Missing } else { Fault::Altered }));
        }
        end = entry.link();
    }
    if head.is_some_and(|head| *head != end) {
        faults.push((end.id, Fault::Ending));
    }
    Findings { checked: rest.len(), faults, end }
}
