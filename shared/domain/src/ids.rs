//! Identifiers. Each is its own type, so that a user's number cannot be handed in where a session is meant.

use std::{borrow::Cow, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A user's number, as the original system's clients know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct UserId(pub i64);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {prefix} and 26 characters of Crockford base 32")]
pub struct InvalidId {
    prefix: &'static str,
}

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl $name {
            /// No id that was made before then is greater.
            pub fn first_at(at: DateTime<Utc>) -> Self {
                let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
                Self(Uuid::from_u128(u128::from(millis) << 80))
            }

            /// When it was made, to the millisecond.
            pub fn made_at(self) -> DateTime<Utc> {
                let millis = i64::try_from(self.0.as_u128() >> 80).unwrap_or(i64::MAX);
                DateTime::from_timestamp_millis(millis).unwrap_or_default()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                f.write_str(std::str::from_utf8(&base32::encode(self.0)).unwrap_or_default())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix($prefix)
                    .and_then(base32::decode)
                    .map(Self)
                    .ok_or(InvalidId { prefix: $prefix })
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "description": concat!("`", $prefix, "` and the 26 characters of a ULID."),
                    "pattern": concat!("^", $prefix, "[0-7][0-9A-HJKMNP-TV-Z]{25}$"),
                    "examples": [concat!($prefix, "01JD8X4Z7N3M5P9Q2R6S8T0V1W")],
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

ulid_id!(
    /// A task: `task_` and the 26 characters of a ULID.
    TaskId,
    "task_"
);
ulid_id!(
    /// A workflow (a batch, a chain or a graph of tasks): `wf_` and the 26 characters of a ULID.
    WorkflowId,
    "wf_"
);
ulid_id!(
    /// A login session: `sess_` and the 26 characters of a ULID. One per login; its refresh tokens form a family.
    SessionId,
    "sess_"
);
ulid_id!(
    /// An API key's name: `key_` and the 26 characters of a ULID. It says nothing about the key itself.
    ApiKeyId,
    "key_"
);
ulid_id!(
    /// A schedule: `sched_` and the 26 characters of a ULID.
    ScheduleId,
    "sched_"
);
ulid_id!(
    /// A mail: `mail_` and the 26 characters of a ULID.
    MailId,
    "mail_"
);
ulid_id!(
    /// A webhook's delivery: `msg_` and the 26 characters of a ULID. The same at every attempt.
    DeliveryId,
    "msg_"
);

/// The host of an execution environment, as `/health/nodes` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct NodeId(pub String);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id that follows one request through logs, queues and answers (`X-Request-Id`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(String);

impl RequestId {
    /// Takes a client's id if it is well formed: 8 to 128 characters of `A-Z a-z 0-9 . _ -`.
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = (8..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        well_formed.then(|| Self(text.to_owned()))
    }

    /// Makes an id out of 16 random bytes: `req_` and 26 characters.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let code = base32::encode(Uuid::from_bytes(bytes));
        Self(format!("req_{}", std::str::from_utf8(&code).unwrap_or_default()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Crockford's base 32 of 128 bits, as the ULID specification writes it.
mod base32 {
    use uuid::Uuid;

    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    pub fn encode(id: Uuid) -> [u8; 26] {
        let mut rest = id.as_u128();
        let mut out = [b'0'; 26];
        for slot in out.iter_mut().rev() {
            *slot = ALPHABET[(rest & 31) as usize];
            rest >>= 5;
        }
        out
    }

    pub fn decode(text: &str) -> Option<Uuid> {
        // 26 characters carry 130 bits: the first may only be 0 to 7.
        if text.len() != 26 || text.as_bytes()[0] > b'7' {
            return None;
        }
        text.bytes()
            .try_fold(0_u128, |acc, b| {
                let digit = ALPHABET.iter().position(|&a| a == b)?;
                Some((acc << 5) | digit as u128)
            })
            .map(Uuid::from_u128)
    }
}
