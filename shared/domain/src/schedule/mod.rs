//! Schedules: when something is due, and what becomes of each time at which it was.

mod cron;
mod decide;
mod policy;
mod zone;

use chrono::{DateTime, Datelike, Duration, DurationRound, Utc};

pub use cron::{Cron, InvalidCron, LONGEST as LONGEST_EXPRESSION};
pub use decide::{AHEAD, AT_ONCE, CAUGHT_UP, Decided, Due, ON_TIME, Outcome, Run, Skip, decide};
pub use policy::{CatchUp, Dst, Overlap, ScheduleStatus, UnknownPolicy};
pub use zone::{Meaning, UnknownZone, Zone};

/// Schedules that a user may have.
pub const MOST: i16 = 100;
/// The shortest interval: beat fires once a minute.
pub const SHORTEST_INTERVAL: Duration = Duration::minutes(1);
/// The longest interval.
pub const LONGEST_INTERVAL: Duration = Duration::days(366);

/// When a schedule is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timing {
    /// By the clock on the wall.
    Cron {
        /// Which local times.
        cron: Cron,
        /// Whose clocks.
        zone: Zone,
        /// What becomes of a local time that does not exist.
        dst: Dst,
    },
    /// At the anchor plus each multiple of the interval: what is late does not move what follows.
    Interval {
        /// [`SHORTEST_INTERVAL`] to [`LONGEST_INTERVAL`], in whole seconds.
        every: Duration,
        /// Where it begins; the first time is one interval later.
        anchor: DateTime<Utc>,
    },
    /// At one moment.
    Once {
        /// Which.
        at: DateTime<Utc>,
    },
}

/// The furthest that clocks were ever put forward at once (Samoa, the 30th of December 2011), and some.
const LONGEST_GAP: Duration = Duration::hours(25);
/// Local times that are looked at for one answer: more than the longest gap has minutes, so that no search is without an end.
const CANDIDATES: usize = 10_000;

impl Timing {
    /// The first time after `t`; `None` when there is none, none within twenty years or none before the
    /// year 10000.
    pub fn next_after(&self, t: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Cron { cron, zone, dst } => next_by_clock(cron, zone, *dst, t),
            Self::Interval { every, anchor } => next_by_interval(*every, *anchor, t),
            Self::Once { at } => Some(*at).filter(|at| *at > t),
        }
    }

    /// The first `n` times after `t`.
    pub fn preview(&self, t: DateTime<Utc>, n: usize) -> Vec<DateTime<Utc>> {
        std::iter::successors(self.next_after(t), |last| self.next_after(*last)).take(n).collect()
    }
}

fn next_by_interval(every: Duration, anchor: DateTime<Utc>, t: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let every = every.num_seconds().max(1);
    let passed = (t - anchor).num_seconds().max(0) / every;
    anchor.checked_add_signed(Duration::try_seconds(every.checked_mul(passed + 1)?)?)
}

/// Local times follow one another as moments do, but for those that do not exist: shifted, they fall among the moments after the
/// gap, so that for the length of a gap both kinds have to be looked at.
fn next_by_clock(cron: &Cron, zone: &Zone, dst: Dst, t: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if !(1..=9999).contains(&t.year()) {
        return None;
    }
    let mut local = zone.local(t).duration_trunc(Duration::minutes(1)).ok()?;
    if dst == Dst::Shift {
        let forward = zone.offset_at(t) - zone.offset_at(t - LONGEST_GAP);
        local -= forward.max(Duration::zero());
    }
    let (mut found, mut until) = (None::<DateTime<Utc>>, None);
    for _ in 0..CANDIDATES {
        local = cron.next_local(local)?;
        if until.is_some_and(|until| local >= until) {
            break;
        }
        match zone.meaning(local)? {
            Meaning::At(at) if at > t => {
                found = Some(found.map_or(at, |found| found.min(at)));
                break;
            }
            Meaning::Missing { shifted, gap } if dst == Dst::Shift && shifted > t && found.is_none() => {
                found = Some(shifted);
                until = Some(local + gap);
            }
            Meaning::At(_) | Meaning::Missing { .. } => {}
        }
    }
    found
}
