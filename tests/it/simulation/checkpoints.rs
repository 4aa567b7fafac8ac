//! What must hold of checkpoints after every step: an attempt is given what was committed last before it was claimed, nobody
//! commits one who does not hold the task, and none is dropped.
//!
//! A trigger notes what becomes of each, for an attempt may be claimed and save between two looks.

use std::collections::BTreeMap;

use halyard_domain::TaskId;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::work::{Attempt, AttemptId, Saved, Work};

const WATCH: &str = "
    create table seen_checkpoints (
        n bigint generated always as identity primary key, task_id uuid not null, attempt smallint not null,
        claims boolean not null, state text not null, checkpoint text
    );
    create function see_checkpoint() returns trigger language plpgsql as $$
    begin
        insert into seen_checkpoints (task_id, attempt, claims, state, checkpoint)
        values (new.id, new.attempt, new.attempt > old.attempt, new.state, new.checkpoint::text);
        return null;
    end
    $$;
    create trigger tasks_see_checkpoint after update on tasks for each row
        when (new.attempt <> old.attempt or new.state <> old.state
              or new.checkpoint::text is distinct from old.checkpoint::text)
        execute function see_checkpoint();
";

/// A change of a task's row.
#[derive(Debug, sqlx::FromRow)]
struct Change {
    n: i64,
    task_id: Uuid,
    attempt: i16,
    /// Does the attempt begin with it?
    claims: bool,
    state: String,
    checkpoint: Option<String>,
}

const CHANGES: &str =
    "select n, task_id, attempt, claims, state, checkpoint from seen_checkpoints where n > $1 order by n";

/// What was seen so far.
pub struct Checkpoints {
    conn: PgConnection,
    work: Work,
    last: i64,
    /// What was committed last of each task.
    held: BTreeMap<TaskId, Saved>,
    /// The same as each attempt was claimed.
    claimed: BTreeMap<AttemptId, Option<Saved>>,
}

impl Checkpoints {
    /// From now on the database notes what becomes of them.
    pub async fn watch(url: &str) {
        let mut conn = PgConnection::connect(url).await.expect("a connection");
        sqlx::raw_sql(WATCH).execute(&mut conn).await.expect("a trigger");
    }

    /// Nothing seen.
    pub async fn new(url: &str, work: Work) -> Self {
        let conn = PgConnection::connect(url).await.expect("a connection");
        Self { conn, work, last: 0, held: BTreeMap::new(), claimed: BTreeMap::new() }
    }

    /// Looks at everything.
    pub async fn check(&mut self) -> Result<(), String> {
        let changes: Vec<Change> =
            sqlx::query_as(CHANGES).bind(self.last).fetch_all(&mut self.conn).await.expect("the changes");
        let attempts = self.work.attempts();
        for change in &changes {
            self.last = change.n;
            let attempt = attempts.get(&(TaskId(change.task_id), change.attempt));
            self.check_change(change, attempt)?;
        }
        attempts.iter().try_for_each(|(id, attempt)| self.check_attempt(*id, attempt))
    }

    fn check_change(&mut self, change: &Change, attempt: Option<&Attempt>) -> Result<(), String> {
        let task = TaskId(change.task_id);
        let found = change.checkpoint.as_deref().map(serde_json::from_str::<Saved>).transpose();
        let found = found.map_err(|error| format!("a checkpoint that nobody saved ({error}): {change:?}"))?;
        let before = self.held.get(&task);
        if change.claims {
            if found.as_ref() != before {
                return Err(format!("{before:?} was committed last, and was not what is claimed: {change:?}"));
            }
            self.claimed.insert((task, change.attempt), found);
            return Ok(());
        }
        if found.as_ref() != before {
            let Some(found) = found else { return Err(format!("a checkpoint is dropped, {before:?}: {change:?}")) };
            if (found.task, found.attempt) != (task, change.attempt) {
                return Err(format!("a checkpoint is taken of who does not hold the task: {change:?}"));
            }
            let did = |attempt: &Attempt| attempt.pieces.iter().any(|piece| piece + 1 == found.done);
            if !attempt.is_some_and(did) {
                return Err(format!("a checkpoint behind a piece that was not done: {change:?}"));
            }
            self.held.insert(task, found);
        }
        // While calls fail, what came after the last renewal may be lost with its worker.
        let kept = self.held.get(&task);
        match attempt.filter(|attempt| attempt.in_peace && change.state != "running") {
            Some(attempt) if attempt.last.as_ref() != kept => {
                Err(format!("{:?} was saved, {kept:?} is kept: {change:?}", attempt.last))
            }
            _ => Ok(()),
        }
    }

    /// It was given what was held when it was claimed, and did what comes after that, in order.
    fn check_attempt(&self, id: AttemptId, attempt: &Attempt) -> Result<(), String> {
        let (task, number) = id;
        let Some(held) = self.claimed.get(&id) else {
            return Err(format!("attempt {number} of {task} begins without a claim"));
        };
        if attempt.given != *held {
            return Err(format!("attempt {number} of {task} begins with {:?}, and {held:?} was held", attempt.given));
        }
        let first = held.as_ref().map_or(0, |saved| saved.done);
        if !attempt.pieces.iter().copied().eq((first..).take(attempt.pieces.len())) {
            return Err(format!("attempt {number} of {task} does {:?} after {held:?}", attempt.pieces));
        }
        Ok(())
    }
}
