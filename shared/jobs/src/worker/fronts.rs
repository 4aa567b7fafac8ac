//! How far the lanes were claimed that have more than can be taken.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use halyard_domain::{Lane, UserId};
use halyard_store::tasks::{Claimed, Front};

/// For so long claims begin where the last one got to. It is also the longest that a task which came in front of that, a more
/// urgent one, waits for the claims of a full lane to see it.
const FRESH: TimeDelta = TimeDelta::milliseconds(250);

/// Whoever got fewer tasks than this has nothing to win.
const MANY: usize = 25;

/// What is known of each lane, from the last claim that looked at all of it.
#[derive(Debug, Default)]
pub struct Fronts(BTreeMap<Lane, Known>);

#[derive(Debug)]
struct Known {
    since: DateTime<Utc>,
    fronts: HashMap<UserId, Front>,
}

impl Fronts {
    /// Where a claim of `lane` may begin; nothing where it is to look at all.
    pub fn of(&mut self, lane: Lane, now: DateTime<Utc>) -> Vec<Front> {
        let Some(known) = self.0.get(&lane) else { return Vec::new() };
        // Backwards, too: a host's clock may be set.
        if (now - known.since).abs() > FRESH {
            self.0.remove(&lane);
            return Vec::new();
        }
        known.fronts.values().copied().collect()
    }

    /// After a claim that began where [`Fronts::of`] said: one that got all it asked for leaves more behind, perhaps.
    pub fn learn(&mut self, lane: Lane, now: DateTime<Utc>, asked: usize, claimed: &[Claimed]) {
        if asked < MANY || claimed.len() < asked {
            self.0.remove(&lane);
            return;
        }
        let known = self.0.entry(lane).or_insert_with(|| Known { since: now, fronts: HashMap::new() });
        // In the lane's order: of each user the last one stays.
        known.fronts.extend(claimed.iter().filter_map(|task| task.front).map(|front| (front.user_id, front)));
    }
}
