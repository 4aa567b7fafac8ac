//! The statements that an environment's invocations share where it has several at a time.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use halyard_domain::{Clock, Lane, TaskId};
use halyard_store::{
    Gather, Gathered, Now, PgConnection, Pool, Result,
    tasks::{self, Claimed, Finish, FinishedRow, Look},
};

use super::{Worker, fronts::Fronts};

/// At most so many tasks are claimed, or end, in one statement, unless one invocation alone asks for more.
const MOST: usize = 100;

/// Where an environment's claims meet, and the ends of its attempts.
#[derive(Clone)]
pub struct Statements {
    claims: Gather<Asked>,
    fronts: Arc<Mutex<Fronts>>,
    ends: Gather<Ends>,
}

/// So many tasks of a lane.
struct Asked {
    lane: Lane,
    look: Look,
    limit: usize,
}

/// Who claims.
struct Claimer {
    worker_id: String,
    worker_host: String,
    lease: Duration,
    clock: Arc<dyn Clock>,
    fronts: Arc<Mutex<Fronts>>,
}

/// The ends of some attempts of one invocation.
struct Ends(Arc<Vec<Finish>>);

impl Statements {
    /// Statements on the connections of `pool`.
    pub fn new(pool: &Pool) -> Self {
        Self { claims: Gather::new(pool.clone()), fronts: Arc::default(), ends: Gather::new(pool.clone()) }
    }

    /// Claims as [`tasks::claim`] does, for `worker`: all with leases of the same length. Whoever has waited longest is served
    /// first.
    pub(super) async fn claim(&self, worker: &Worker, lane: Lane, limit: usize, look: Look) -> Result<Vec<Claimed>> {
        let by = Claimer {
            worker_id: worker.id.clone(),
            worker_host: worker.host.clone(),
            lease: worker.lease,
            clock: Arc::clone(&worker.clock),
            fronts: Arc::clone(&self.fronts),
        };
        self.claims.ask(Asked { lane, look, limit }, &by).await
    }

    /// Commits ends as [`tasks::finish`] does.
    pub(super) async fn finish(&self, ends: Arc<Vec<Finish>>, now: Now) -> Result<Vec<FinishedRow>> {
        self.ends.ask(Ends(ends), &now).await
    }
}

impl Claimer {
    fn fronts(&self) -> MutexGuard<'_, Fronts> {
        // It is whole after each call.
        self.fronts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gathered for Asked {
    type Answer = Vec<Claimed>;
    type Terms = Claimer;

    fn joins(&self, those: &[Self]) -> bool {
        let alike = |one: &Self| one.lane == self.lane && one.look == self.look;
        those.iter().all(alike) && those.iter().map(|one| one.limit).sum::<usize>() + self.limit <= MOST
    }

    async fn run(conn: &mut PgConnection, asked: &[Self], by: &Claimer) -> Result<Vec<Vec<Claimed>>> {
        let Some(&Self { lane, look, .. }) = asked.first() else { return Ok(Vec::new()) };
        let limit = asked.iter().map(|one| one.limit).sum::<usize>();
        let now = by.clock.now();
        let fronts = match look {
            Look::Quick => by.fronts().of(lane, now),
            Look::Thorough => Vec::new(),
        };
        let claim = tasks::Claim {
            lane,
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
            worker_id: &by.worker_id,
            worker_host: &by.worker_host,
            lease: by.lease,
            look,
            fronts: &fronts,
        };
        let claimed = tasks::claim(conn, &claim, by.clock.database_override()).await?;
        if look == Look::Quick {
            by.fronts().learn(lane, now, limit, &claimed);
        }
        let mut claimed = VecDeque::from(claimed);
        Ok(asked.iter().map(|one| claimed.drain(..one.limit.min(claimed.len())).collect()).collect())
    }
}

impl Gathered for Ends {
    type Answer = Vec<FinishedRow>;
    type Terms = Now;

    fn joins(&self, those: &[Self]) -> bool {
        those.iter().map(|ends| ends.0.len()).sum::<usize>() + self.0.len() <= MOST
    }

    async fn run(conn: &mut PgConnection, all: &[Self], now: &Now) -> Result<Vec<Vec<FinishedRow>>> {
        let together: Vec<&Finish> = all.iter().flat_map(|ends| ends.0.iter()).collect();
        // Steps of one workflow that ended together are heard together: one of those who ended them takes it further.
        let mut told = HashSet::new();
        let rows = tasks::finish(conn, &together, *now).await?.into_iter().map(|mut row| {
            row.workflow = row.workflow.filter(|id| told.insert(*id));
            ((row.id, row.fence), row)
        });
        // Of a task that was taken over, two attempts may end at once; one of them is refused.
        let mut rows: HashMap<(TaskId, i64), FinishedRow> = rows.collect();
        let mut of = |ends: &Self| ends.0.iter().filter_map(|end| rows.remove(&(end.id, end.fence))).collect();
        Ok(all.iter().map(&mut of).collect())
    }
}
