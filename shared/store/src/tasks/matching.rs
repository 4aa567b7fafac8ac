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

/// Tasks in one of these states, newest first, that come after `cursor` in that order: up to `limit` of them, among the
/// next [`LOOKED_AT`]. With `untried`, only those that no task tries again.
#[expect(clippy::too_many_lines, reason = "most of it is one statement")]
pub async fn matching(
    conn: &mut PgConnection,
    scope: Scope,
    filter: &Filter,
    states: &[TaskState],
    untried: bool,
    cursor: Option<TaskId>,
    limit: i64,
) -> Result<Matching> {
    let states: Vec<_> = states.iter().map(|state| state.as_str()).collect();
    let wanted = filter.priority.map(Priority::get);
    let before = cursor.map_or(Uuid::max(), |c| c.0);
    // As in `list`: one statement for each index that is to serve.
    let (ids, looked, last) = if let Some(workflow) = filter.workflow {
        let row = sqlx::query!(
            r#"
            with looked as (
                select id, state, task_type, priority, created_at from tasks
                where workflow_id = $1 and ($2::bigint is null or user_id = $2) and id < $3
                order by id desc limit $4
            )
            select array(select l.id from looked l
                         where l.state = any ($5) and ($6::text is null or l.state = $6)
                           and ($7::text is null or l.task_type = $7) and ($8::smallint is null or l.priority = $8)
                           and ($9::timestamptz is null or l.created_at >= $9)
                           and ($10::timestamptz is null or l.created_at < $10)
                           and not ($11 and exists (
                               select from tasks r where r.retry_of = l.id and r.workflow_id is null))
                         order by l.id desc limit $12) as "ids!",
                   (select count(*) from looked) as "looked!", (select id from looked order by id limit 1) as last
            "#,
            workflow.0,
            scope.owner(),
            before,
            LOOKED_AT,
            &states as &[&str],
            filter.state.map(TaskState::as_str),
            filter.task_type,
            wanted,
            filter.submitted_after,
            filter.submitted_before,
            untried,
            limit,
        )
        .fetch_one(conn)
        .await?;
        (row.ids, row.looked, row.last)
    } else if let Scope::Of(owner) = scope {
        let row = sqlx::query!(
            r#"
            with looked as (
                select id, state, task_type, priority, created_at from tasks
                where user_id >= $1 and (user_id, id) < ($1, $2)
                order by user_id desc, id desc limit $3
            )
            select array(select l.id from looked l
                         where l.state = any ($4) and ($5::text is null or l.state = $5)
                           and ($6::text is null or l.task_type = $6) and ($7::smallint is null or l.priority = $7)
                           and ($8::timestamptz is null or l.created_at >= $8)
                           and ($9::timestamptz is null or l.created_at < $9)
                           and not ($10 and exists (
                               select from tasks r where r.retry_of = l.id and r.workflow_id is null))
                         order by l.id desc limit $11) as "ids!",
                   (select count(*) from looked) as "looked!", (select id from looked order by id limit 1) as last
            "#,
            owner.0,
            before,
            LOOKED_AT,
            &states as &[&str],
            filter.state.map(TaskState::as_str),
            filter.task_type,
            wanted,
            filter.submitted_after,
            filter.submitted_before,
            untried,
            limit,
        )
        .fetch_one(conn)
        .await?;
        (row.ids, row.looked, row.last)
    } else {
        let row = sqlx::query!(
            r#"
            with looked as (
                select id, state, task_type, priority, created_at from tasks
                where id < $1
                order by id desc limit $2
            )
            select array(select l.id from looked l
                         where l.state = any ($3) and ($4::text is null or l.state = $4)
                           and ($5::text is null or l.task_type = $5) and ($6::smallint is null or l.priority = $6)
                           and ($7::timestamptz is null or l.created_at >= $7)
                           and ($8::timestamptz is null or l.created_at < $8)
                           and not ($9 and exists (
                               select from tasks r where r.retry_of = l.id and r.workflow_id is null))
                         order by l.id desc limit $10) as "ids!",
                   (select count(*) from looked) as "looked!", (select id from looked order by id limit 1) as last
            "#,
            before,
            LOOKED_AT,
            &states as &[&str],
            filter.state.map(TaskState::as_str),
            filter.task_type,
            wanted,
            filter.submitted_after,
            filter.submitted_before,
            untried,
            limit,
        )
        .fetch_one(conn)
        .await?;
        (row.ids, row.looked, row.last)
    };
    let full = i64::try_from(ids.len()).unwrap_or(i64::MAX) >= limit;
    let next = if full { ids.last().copied() } else { last.filter(|_| looked >= LOOKED_AT) };
    Ok(Matching { ids: ids.into_iter().map(TaskId).collect(), next: next.map(TaskId) })
}
