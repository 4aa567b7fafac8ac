//! What a lane may take of an invocation.

use std::time::Duration;

use halyard_domain::Lane;

/// One lane's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneLimit {
    /// Attempts of one invocation that run side by side.
    pub side_by_side: usize,
    /// What is left of the invocation's time when its attempts are asked to stop: to come to a checkpoint, and to commit.
    pub margin: Duration,
}

/// Every lane's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneLimits([LaneLimit; Lane::ALL.len()]);

impl LaneLimits {
    /// What `limit` says of each lane.
    pub fn new(limit: impl FnMut(Lane) -> LaneLimit) -> Self {
        Self(Lane::ALL.map(limit))
    }

    /// A lane's.
    pub fn of(&self, lane: Lane) -> LaneLimit {
        let place = Lane::ALL.iter().position(|other| *other == lane).unwrap_or_default();
        self.0[place]
    }
}

impl Default for LaneLimits {
    /// Twenty-five side by side and three seconds; of `long`, one and half a minute.
    fn default() -> Self {
        Self::new(|lane| match lane {
            Lane::Long => LaneLimit { side_by_side: 1, margin: Duration::from_secs(30) },
            Lane::High | Lane::Default | Lane::Low => LaneLimit { side_by_side: 25, margin: Duration::from_secs(3) },
        })
    }
}
