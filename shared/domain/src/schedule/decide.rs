//! What becomes of the times at which a schedule was, is and will shortly be due.

use chrono::{DateTime, Duration, Utc};

use super::{CatchUp, Overlap, Timing};

/// How far ahead of its time a run is made into a task: until the next beat looks, and some. Less than the longest send delay
/// of a queue, so that its doorbell leaves at once and arrives when it is due.
pub const AHEAD: Duration = Duration::seconds(75);
/// A time that is no longer ago counts as on time, whatever [`CatchUp`] says: two beats may be late or lost.
pub const ON_TIME: Duration = Duration::minutes(2);
/// Missed times that [`CatchUp::All`] makes up for; what is older is left out.
pub const CAUGHT_UP: usize = 1_000;
/// Runs that one schedule makes in one go; the next beat goes on.
pub const AT_ONCE: usize = 100;
/// Missed times that are counted. Longer absences start over a day before their end.
const COUNTED: usize = 10_000;

/// A schedule that is due.
#[derive(Debug, Clone, Copy)]
pub struct Due<'a> {
    /// When.
    pub timing: &'a Timing,
    /// The first time that nothing has been decided about.
    pub next_at: DateTime<Utc>,
    /// Runs that came of it so far.
    pub iterations: i32,
    /// Runs that may come of it in all.
    pub max_iterations: Option<i32>,
    /// What it says about overlaps.
    pub overlap: Overlap,
    /// What it says about missed times.
    pub catch_up: CatchUp,
    /// Earlier runs that have not ended.
    pub open: usize,
}

/// Why a time passes without a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// Nobody looked in time.
    Missed,
    /// An earlier run has not ended.
    Overlap,
}

/// What becomes of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A task.
    Fire,
    /// Nothing.
    Skip(Skip),
}

/// A time with what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Which; of several, the last one.
    pub nominal: DateTime<Utc>,
    /// What becomes of it.
    pub outcome: Outcome,
    /// For how many times in a row this stands: missed ones are put together.
    pub times: i32,
}

/// What is decided about a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// In the order of their times.
    pub runs: Vec<Run>,
    /// The first time that nothing is decided about; `None`: the schedule is completed.
    pub next_at: Option<DateTime<Utc>>,
    /// Runs that came of it so far, those of `runs` included.
    pub iterations: i32,
}

/// Decides about every time from `next_at` until [`AHEAD`] from now.
///
/// A run ahead of its time that would overlap is not decided about yet: the earlier one may end until then. Whoever looks
/// next after its time decides.
pub fn decide(due: &Due<'_>, now: DateTime<Utc>) -> Decided {
    let mut decider = Decider { due, now, runs: Vec::new(), iterations: due.iterations, open: due.open };
    let next_at = decider.run();
    Decided { runs: decider.runs, next_at, iterations: decider.iterations }
}

struct Decider<'a> {
    due: &'a Due<'a>,
    now: DateTime<Utc>,
    runs: Vec<Run>,
    iterations: i32,
    open: usize,
}

impl Decider<'_> {
    /// Gives the first time that nothing is decided about.
    fn run(&mut self) -> Option<DateTime<Utc>> {
        if self.is_used_up() {
            return None;
        }
        let (missed, on_time) = self.missed();
        let made_up = match self.due.catch_up {
            CatchUp::None => 0,
            CatchUp::One => 1,
            CatchUp::All => CAUGHT_UP,
        };
        let (left_out, late) = missed.split_at(missed.len().saturating_sub(made_up));
        if let Some(last) = left_out.last() {
            let times = i32::try_from(left_out.len()).unwrap_or(i32::MAX);
            self.runs.push(Run { nominal: *last, outcome: Outcome::Skip(Skip::Missed), times });
        }
        let following = std::iter::successors(on_time, |last| self.due.timing.next_after(*last));
        for nominal in late.iter().copied().chain(following) {
            let settled = nominal <= self.now + AHEAD && self.runs.len() < AT_ONCE && self.settle(nominal);
            if !settled {
                return Some(nominal);
            }
            if self.is_used_up() {
                return None;
            }
        }
        None
    }

    /// The times that are past and too late to count as on time, and the first that is not among them.
    fn missed(&self) -> (Vec<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let timing = self.due.timing;
        let (mut missed, mut next) = (Vec::new(), Some(self.due.next_at));
        while let Some(at) = next.filter(|at| *at < self.now - ON_TIME) {
            missed.push(at);
            let jump = self.now - Duration::days(1);
            next = timing.next_after(if missed.len() == COUNTED { at.max(jump) } else { at });
        }
        (missed, next)
    }

    /// Decides about one time; `false`: not yet.
    fn settle(&mut self, nominal: DateTime<Utc>) -> bool {
        let free = match self.due.overlap {
            Overlap::Allow => true,
            Overlap::Skip => self.open == 0,
            Overlap::Queue => self.open < 2,
        };
        if !free && nominal > self.now {
            return false;
        }
        let outcome = if free { Outcome::Fire } else { Outcome::Skip(Skip::Overlap) };
        if free {
            self.open += 1;
            self.iterations = self.iterations.saturating_add(1);
        }
        self.runs.push(Run { nominal, outcome, times: 1 });
        true
    }

    fn is_used_up(&self) -> bool {
        self.due.max_iterations.is_some_and(|most| self.iterations >= most)
    }
}
