//! The statements that an environment's invocations share where it has several at a time.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use halyard_domain::{Lane, TaskId};
use halyard_store::{
    Gather, Gathered, Now, PgConnection, Pool, Result,
    tasks::{self, Claimed, Finish, FinishedRow, Look},
};

/// At most so many tasks are claimed, or end, in one statement, unless one invocation alone asks for more.
const MOST: usize = 100;

/// Where an environment's claims meet, and the ends of its attempts.
#[derive(Clone)]
pub struct Statements {
    claims: Gather<Asked>,
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
    now: Now,
}

/// The ends of some attempts of one invocation.
struct Ends(Arc<Vec<Finish>>);

impl Statements {
    /// Statements on the connections of `pool`.
    pub fn new(pool: &Pool) -> Self {
        Self { claims: Gather::new(pool.clone()), ends: Gather::new(pool.clone()) }
    }

    /// Claims as [`tasks::claim`] does: all for the same worker, with leases of the same length. Whoever has waited longest
    /// is served first.
    pub(super) async fn claim(&self, claim: tasks::Claim<'_>, now: Now) -> Result<Vec<Claimed>> {
        let asked = Asked { lane: claim.lane, look: claim.look, limit: usize::try_from(claim.limit).unwrap_or(0) };
        let (worker_id, worker_host) = (claim.worker_id.to_owned(), claim.worker_host.to_owned());
        self.claims.ask(asked, &Claimer { worker_id, worker_host, lease: claim.lease, now }).await
    }

    /// Commits ends as [`tasks::finish`] does.
    pub(super) async fn finish(&self, ends: Arc<Vec<Finish>>, now: Now) -> Result<Vec<FinishedRow>> {
        self.ends.ask(Ends(ends), &now).await
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
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let Claimer { worker_id, worker_host, lease, now } = by;
        let claim = tasks::Claim { lane, limit, worker_id, worker_host, lease: *lease, look };
        let mut claimed = VecDeque::from(tasks::claim(conn, &claim, *now).await?);
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
        // Of a task that was taken over, two attempts may end at once; one of them is refused.
        let rows = tasks::finish(conn, &together, *now).await?.into_iter().map(|row| ((row.id, row.fence), row));
        let mut rows: HashMap<(TaskId, i64), FinishedRow> = rows.collect();
        let mut of = |ends: &Self| ends.0.iter().filter_map(|end| rows.remove(&(end.id, end.fence))).collect();
        Ok(all.iter().map(&mut of).collect())
    }
}
