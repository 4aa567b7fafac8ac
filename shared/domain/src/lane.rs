//! Priorities and the lanes that they map to.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// 1 (first) to 10 (last); 5 unless the client says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "i16", into = "i16")]
#[schemars(!try_from, !into)]
pub struct Priority(#[schemars(range(min = 1, max = 10))] i16);

/// A priority outside 1 to 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be between 1 and 10")]
pub struct InvalidPriority;

impl Default for Priority {
    fn default() -> Self {
        Self(5)
    }
}

impl TryFrom<i16> for Priority {
    type Error = InvalidPriority;
    fn try_from(n: i16) -> Result<Self, InvalidPriority> {
        (1..=10).contains(&n).then_some(Self(n)).ok_or(InvalidPriority)
    }
}

impl From<Priority> for i16 {
    fn from(p: Priority) -> i16 {
        p.0
    }
}

impl Priority {
    /// The number, 1 to 10.
    pub fn get(self) -> i16 {
        self.0
    }
}

/// A group of tasks with a queue and a guaranteed concurrency of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Priority 1 to 3.
    High,
    /// Priority 4 to 7.
    Default,
    /// Priority 8 to 10.
    Low,
    /// Types that declare themselves long; the priority orders them inside the lane.
    Long,
}

impl Lane {
    /// Every lane, in the order in which they are reported.
    pub const ALL: [Self; 4] = [Self::High, Self::Default, Self::Low, Self::Long];

    /// The lane of a task of ordinary length.
    pub fn for_priority(priority: Priority) -> Self {
        match priority.get() {
            ..=3 => Self::High,
            4..=7 => Self::Default,
            8.. => Self::Low,
        }
    }

    /// The lane's name, as the API, the queues and the database write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Default => "default",
            Self::Low => "low",
            Self::Long => "long",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of high, default, low, long")]
pub struct UnknownLane;

impl FromStr for Lane {
    type Err = UnknownLane;
    fn from_str(text: &str) -> Result<Self, UnknownLane> {
        Self::ALL.into_iter().find(|lane| lane.as_str() == text).ok_or(UnknownLane)
    }
}
