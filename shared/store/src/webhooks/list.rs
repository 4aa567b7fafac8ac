//! Lists of deliveries, which read ranges of an index as those of tasks do (docs/adr/0040-task-lists.md).

use chrono::{DateTime, Utc};
use halyard_domain::{DeliveryId, TaskId, UserId, webhook::DeliveryState};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Delivery, log::delivery_of};
use crate::{Result, tasks::LOOKED_AT};

/// Which deliveries are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this task.
    pub task: Option<TaskId>,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Of this event.
    pub event: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Newest first.
    pub deliveries: Vec<Delivery>,
    /// Where to go on; `None`: there are no more.
    pub next: Option<DeliveryId>,
}

struct PageRow {
    id: Uuid,
    user_id: i64,
    source_kind: String,
    source: Uuid,
    event: String,
    event_at: DateTime<Utc>,
    url: String,
    state: String,
    attempts: i16,
    due_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    status_code: Option<i16>,
    error: Option<String>,
    /// Is it one of those that were asked for?
    matches: bool,
    /// Is it in the range that is looked through?
    within: bool,
    /// The how manieth of those that were looked at.
    n: i64,
}

/// The one statement, of the shape that `tasks::list` explains. `$looked` is what some index holds below id `$1`, in its order,
/// and `$within` says whether a delivery is still in the range that is asked for; what they are given comes last, from `$6` on.
macro_rules! page {
    ($conn:expr, $filter:expr, $below:expr, $limit:expr, $looked:literal, $within:literal $(, $more:expr)*) => {
        sqlx::query_as!(
            PageRow,
            r#"select id, user_id, source_kind, source, event, event_at, url, state, attempts, due_at, ended_at, status_code,
                      error, matches and within as "matches!", within as "within!", n as "n!"
               from (
                   select d.*, row_number() over () as n, "# + $within + r#" as within,
                          ($2::text is null or state = $2) and ($3::text is null or event = $3) as matches
                   from (select id, user_id, source_kind, source, event, event_at, url, state, attempts, due_at, ended_at,
                                status_code, error
                         from webhook_deliveries "# + $looked + r#" limit $5) d
               ) looked
               where matches or not within or n = $5 limit $4"#,
            $below,
            $filter.state.map(DeliveryState::as_str),
            $filter.event.as_deref(),
            // One more than asked for tells whether there is a next page.
            $limit + 1,
            LOOKED_AT,
            $($more),*
        )
        .fetch_all($conn)
        .await?
    };
}

/// Deliveries of `owner`, or of everybody, the newest first, that come after `cursor` in that order: up to `limit` of them, among
/// the next [`LOOKED_AT`] of those that an index leads to. One leads to those of a task, one to a user's in a state, one to
/// everybody's in a state in which few are; what is asked for besides is looked for among them.
pub async fn deliveries(
    conn: &mut PgConnection,
    owner: Option<UserId>,
    filter: &Filter,
    cursor: Option<DeliveryId>,
    limit: i64,
) -> Result<Page> {
    let below = cursor.map_or(Uuid::max(), |cursor| cursor.0);
    // Most have been delivered, and no index leads to those.
    let state = filter.state.filter(|state| *state != DeliveryState::Delivered);
    let rows = match (filter.task, owner, state) {
        // There are few. Collected first, for in the order of ids the planner might walk the primary key.
        (Some(task), ..) => page!(
            conn,
            filter,
            below,
            limit,
            "where id = any (array(select s.id from webhook_deliveries s where s.source = $6 and s.source_kind = 'task'))
               and ($7::bigint is null or user_id = $7) and id < $1 order by id desc",
            "true",
            task.0,
            owner.map(|owner| owner.0)
        ),
        (None, Some(owner), Some(_)) => page!(
            conn,
            filter,
            below,
            limit,
            "where (user_id, state, id) < ($6, $2, $1) and state <> 'delivered'
             order by user_id desc, state desc, id desc",
            "user_id = $6 and state = $2",
            owner.0
        ),
        (None, Some(owner), None) => page!(
            conn,
            filter,
            below,
            limit,
            "where (user_id, id) < ($6, $1) order by user_id desc, id desc",
            "user_id = $6",
            owner.0
        ),
        (None, None, Some(DeliveryState::Failed | DeliveryState::Skipped | DeliveryState::Superseded)) => page!(
            conn,
            filter,
            below,
            limit,
            "where (state, id) < ($2, $1) and state not in ('owed', 'delivered') order by state desc, id desc",
            "state = $2"
        ),
        (None, None, _) => page!(conn, filter, below, limit, "where id < $1 order by id desc", "true"),
    };
    page_of(rows, limit)
}

fn page_of(mut rows: Vec<PageRow>, limit: i64) -> Result<Page> {
    let last = rows.last().filter(|row| row.within && row.n == LOOKED_AT).map(|row| DeliveryId(row.id));
    rows.retain(|row| row.matches);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let next = if rows.len() > limit { rows[..limit].last().map(|row| DeliveryId(row.id)) } else { last };
    let deliveries = rows.into_iter().take(limit).map(|row| Ok(delivery_of!(row)));
    Ok(Page { deliveries: deliveries.collect::<Result<_>>()?, next })
}
