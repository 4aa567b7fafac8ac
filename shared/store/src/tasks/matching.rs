//! Which tasks a change of many is about.

use halyard_domain::{Priority, TaskId, UserId, task::TaskState};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Filter;
use crate::Result;

/// So many tasks are looked at for one answer, whether they match or not: it costs the same before any history.
pub const LOOKED_AT: i64 = 10_000;

/// Whose tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of one user.
    Of(UserId),
    /// Everybody's.
    All,
}

impl Scope {
    pub(super) fn owner(self) -> Option<i64> {
        match self {
            Self::Of(user) => Some(user.0),
            Self::All => None,
        }
    }
}

impl From<Option<UserId>> for Scope {
    fn from(owner: Option<UserId>) -> Self {
        owner.map_or(Self::All, Self::Of)
    }
}

/// Tasks that match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matching {
    /// Which, newest first.
    pub ids: Vec<TaskId>,
    /// Where to go on; `None`: there are no more.
    pub next: Option<TaskId>,
}

/// The one statement, over tasks that are looked at in an order that some index serves. `$looked` chooses them, those below `$2`,
/// `$3` at most; what it is given besides comes last, from `$11` on.
macro_rules! among {
    ($conn:expr, $asked:expr, $looked:literal $(, $more:expr)*) => {{
        let row = sqlx::query!(
            "with looked as (
                 select id, state, task_type, priority, created_at, workflow_id, step from tasks
                 " + $looked + r#" limit $3
             )
             select array(select l.id from looked l
                          where l.state = any ($1) and ($4::text is null or l.state = $4)
                            and ($5::text is null or l.task_type = $5) and ($6::smallint is null or l.priority = $6)
                            and ($7::timestamptz is null or l.created_at >= $7)
                            and ($8::timestamptz is null or l.created_at < $8)
                            and not ($9 and (exists (
                                    select from tasks r where r.retry_of = l.id and r.workflow_id is null)
                                or exists (
                                    select from workflow_steps s
                                    where s.workflow_id = l.workflow_id and s.step = l.step and s.task_id <> l.id)))
                          order by l.id desc limit $10) as "ids!",
                    (select count(*) from looked) as "looked!", (select id from looked order by id limit 1) as last"#,
            &$asked.states as &[&str],
            $asked.before,
            LOOKED_AT,
            $asked.filter.state.map(TaskState::as_str),
            $asked.filter.task_type,
            $asked.filter.priority.map(Priority::get),
            $asked.filter.submitted_after,
            $asked.filter.submitted_before,
            $asked.untried,
            $asked.limit,
            $($more),*
        )
        .fetch_one($conn)
        .await?;
        (row.ids, row.looked, row.last)
    }};
}

struct Asked<'a> {
    filter: &'a Filter,
    states: Vec<&'a str>,
    before: Uuid,
    untried: bool,
    limit: i64,
}

/// Tasks in one of these states, newest first, that come after `cursor` in that order: up to `limit` of them, among the
/// next [`LOOKED_AT`]. With `untried`, only those that no task tries again.
pub async fn matching(
    conn: &mut PgConnection,
    scope: Scope,
    filter: &Filter,
    states: &[TaskState],
    untried: bool,
    cursor: Option<TaskId>,
    limit: i64,
) -> Result<Matching> {
    let states = states.iter().map(|state| state.as_str()).collect();
    let before = cursor.map_or(Uuid::max(), |c| c.0);
    let asked = Asked { filter, states, before, untried, limit };
    let (ids, looked, last) = match (filter.workflow, scope) {
        (Some(workflow), _) => among!(
            conn,
            asked,
            "where workflow_id = $11 and ($12::bigint is null or user_id = $12) and id < $2 order by id desc",
            workflow.0,
            scope.owner()
        ),
        (None, Scope::Of(owner)) => among!(
            conn,
            asked,
            "where user_id >= $11 and (user_id, id) < ($11, $2) order by user_id desc, id desc",
            owner.0
        ),
        (None, Scope::All) => among!(conn, asked, "where id < $2 order by id desc"),
    };
    let full = i64::try_from(ids.len()).unwrap_or(i64::MAX) >= limit;
    let next = if full { ids.last().copied() } else { last.filter(|_| looked >= LOOKED_AT) };
    Ok(Matching { ids: ids.into_iter().map(TaskId).collect(), next: next.map(TaskId) })
}
