//! What a schedule says about overlaps, missed times and clocks that are put forward.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text that names none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {0}")]
pub struct UnknownPolicy(&'static str);

macro_rules! policy {
    ($(#[$doc:meta])* $name:ident, $list:literal, $($(#[$of:meta])* $variant:ident = $text:literal),+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$of])* $variant),+ }

        impl $name {
            /// The name, as the API and the database write it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownPolicy;
            fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(UnknownPolicy($list)) }
            }
        }
    };
}

policy!(
    /// What happens when a run is due while an earlier one has not ended.
    Overlap, "skip, queue, allow",
    /// It is left out.
    Skip = "skip",
    /// It waits for the earlier one; one waits at most, further ones are left out.
    Queue = "queue",
    /// It runs beside it.
    Allow = "allow"
);
policy!(
    /// What happens to times at which nobody looked, because the platform was down or the account disabled.
    CatchUp, "none, one, all",
    /// They are left out.
    None = "none",
    /// The latest of them runs late.
    One = "one",
    /// Each runs late.
    All = "all"
);
policy!(
    /// What happens at a local time that does not exist because the clocks are put forward over it. One that happens twice fires
    /// once, the first time. Source: Amazon `EventBridge` Scheduler User Guide, "Schedule types", "Daylight savings time".
    Dst, "skip, shift",
    /// Nothing.
    Skip = "skip",
    /// It is due later by as much as the clocks are put forward.
    Shift = "shift"
);
policy!(
    /// How a schedule stands.
    ScheduleStatus, "active, paused, completed",
    /// It will be due again.
    Active = "active",
    /// Somebody has paused it.
    Paused = "paused",
    /// It will not be due again.
    Completed = "completed"
);
