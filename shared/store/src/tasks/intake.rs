//! Concurrent submits of one environment, gathered into one statement.

use sqlx::PgConnection;

use super::{NewTask, Submitted, submit_many};
use crate::{Gather, Gathered, Now, Pool, Result};

/// At most so many tasks in one statement.
const BATCH: usize = 64;

/// Where an environment's submits meet.
#[derive(Clone)]
pub struct Intake(Gather<NewTask>);

impl Gathered for NewTask {
    type Answer = Submitted;
    type Terms = Now;

    fn joins(&self, those: &[Self]) -> bool {
        those.len() < BATCH
    }

    async fn run(conn: &mut PgConnection, asked: &[Self], now: &Now) -> Result<Vec<Submitted>> {
        submit_many(conn, asked, *now).await
    }
}

impl Intake {
    /// Submits through the connections of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self(Gather::new(pool))
    }

    /// Accepts one task, as [`submit`](super::submit) does, perhaps together with others.
    ///
    /// # Errors
    /// As [`submit`](super::submit); `Unavailable` also when the caller who ran the statement went away while it was under way.
    pub async fn submit(&self, task: NewTask, now: Now) -> Result<Submitted> {
        Box::pin(self.0.ask(task, &now)).await
    }
}
