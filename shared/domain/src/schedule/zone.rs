//! Time zones by their IANA names, from a copy of the tz database inside the program: every host answers the same.

use std::{fmt, str::FromStr, sync::LazyLock};

use chrono::{DateTime, Datelike, Duration, NaiveDateTime, Timelike, Utc};
use jiff::{
    Timestamp, civil,
    tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase},
};

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A name that no time zone has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time zone of the IANA database, such as Europe/Berlin")]
pub struct UnknownZone;

/// What a local time stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// This moment; when the clocks were put back and it happened twice, the first one.
    At(DateTime<Utc>),
    /// No moment: the clocks were put forward over it.
    Missing {
        /// The moment by the offset before the change: the local time later by the gap.
        shifted: DateTime<Utc>,
        /// By how much the clocks were put forward.
        gap: Duration,
    },
}

impl Zone {
    /// The zone's name, as the database writes it.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// How far the zone's clocks are ahead of UTC.
    pub fn offset_at(&self, at: DateTime<Utc>) -> Duration {
        // Times that jiff cannot say are outside of the years that anything here is scheduled in.
        let at = Timestamp::from_second(at.timestamp()).unwrap_or(Timestamp::UNIX_EPOCH);
        seconds(self.0.to_offset(at))
    }

    /// What the zone's clocks show.
    pub fn local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        (at + self.offset_at(at)).naive_utc()
    }

    /// What a local time stands for; `None` outside the years 1 to 9999.
    pub fn meaning(&self, local: NaiveDateTime) -> Option<Meaning> {
        let at = |offset: Offset| local.and_utc() - seconds(offset);
        Some(match self.0.to_ambiguous_timestamp(to_civil(local)?).offset() {
            AmbiguousOffset::Unambiguous { offset } => Meaning::At(at(offset)),
            AmbiguousOffset::Fold { before, .. } => Meaning::At(at(before)),
            AmbiguousOffset::Gap { before, after } => {
                Meaning::Missing { shifted: at(before), gap: seconds(after) - seconds(before) }
            }
        })
    }
}

fn seconds(offset: Offset) -> Duration {
    Duration::seconds(offset.seconds().into())
}

fn to_civil(local: NaiveDateTime) -> Option<civil::DateTime> {
    let small = |n: u32| i8::try_from(n).ok();
    civil::DateTime::new(
        i16::try_from(local.year()).ok().filter(|year| (1..=9999).contains(year))?,
        small(local.month())?,
        small(local.day())?,
        small(local.hour())?,
        small(local.minute())?,
        small(local.second())?,
        0,
    )
    .ok()
}

impl FromStr for Zone {
    type Err = UnknownZone;
    /// Takes any case; [`Zone::name`] has the right one.
    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        let zone = DATABASE.get(name).map_err(|_| UnknownZone)?;
        if zone.is_unknown() { Err(UnknownZone) } else { Ok(Self(zone)) }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
