//! Deleting what ended long ago, a bounded part at a time.
//!
//! Tasks are gone over by their ids, newest first, which are in the order in which they were accepted: none that was accepted
//! later than it is to have ended can be meant. Statistics stay as they are, for nothing adds them up from rows. A workflow goes as a
//! whole and first, then its steps, which nobody can run again without it.

use chrono::{DateTime, Utc};
use halyard_domain::TaskId;
use serde_json::value::RawValue;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::{
    Now, Result, audit,
    tasks::{self, Writer},
};

/// What is gone over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Workflows that ended, all of their steps included.
    Workflows,
    /// Tasks that ended and that no workflow needs.
    Tasks,
}

/// Which part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// What.
    pub part: Part,
    /// What ended before.
    pub before: DateTime<Utc>,
    /// With lower ids than this.
    pub below: Uuid,
    /// So many are looked at.
    pub limit: i64,
    /// Keep what is deleted in `cleanup_backups`.
    pub backup: bool,
}

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Tasks or workflows.
    pub deleted: i64,
    /// Events of these tasks; steps of these workflows, whose tasks are still there.
    pub parts: i64,
    /// Webhook deliveries about them that had ended.
    pub deliveries: i64,
    /// The lowest id that was looked at; `None`: there is nothing left to look at.
    pub next: Option<Uuid>,
}

/// Deletes a batch, and keeps as the task's checkpoint what `checkpoint` makes of it: in one transaction, so that whoever goes on
/// from there goes on exactly behind it. `announce` is kept in the audit log if something is deleted. `None`, and nothing done: the
/// attempt has lost its task.
pub async fn clean(
    conn: &mut PgConnection,
    by: Writer,
    batch: &Batch,
    announce: Option<&audit::Entry<'_>>,
    checkpoint: impl FnOnce(&Cleaned) -> Box<RawValue>,
    now: Now,
) -> Result<Option<Cleaned>> {
    let mut tx = conn.begin().await?;
    let cleaned = match batch.part {
        Part::Workflows => workflows(&mut tx, by, batch, now).await?,
        Part::Tasks => tasks(&mut tx, by, batch, now).await?,
    };
    if let Some(entry) = announce
        && cleaned.deleted > 0
    {
        audit::append(&mut tx, entry, now).await?;
    }
    if !tasks::checkpoint(&mut tx, by, &checkpoint(&cleaned)).await? {
        tx.rollback().await?;
        return Ok(None);
    }
    tx.commit().await?;
    Ok(Some(cleaned))
}

async fn tasks(conn: &mut PgConnection, by: Writer, batch: &Batch, now: Now) -> Result<Cleaned> {
    let row = sqlx::query!(
        r#"
        with looked as (
            select t.id, t.ended_at, t.workflow_id from tasks t where t.id < $1 order by t.id desc limit $3
        ), doomed as (
            select array(
                select l.id from looked l
                where l.ended_at < $2
                  and (l.workflow_id is null or not exists (select from workflows w where w.id = l.workflow_id))
                  and tries_ended(l.id, $2)) as ids
        ), gone as (
            delete from tasks where id = any ((select ids from doomed)::uuid[]) and ended_at < $2 returning *
        ), event as (
            delete from task_events where task_id = any ((select ids from doomed)::uuid[])
            returning id, task_id, at, attempt, state, message
        ), delivery as (
            delete from webhook_deliveries
            where source = any ((select ids from doomed)::uuid[]) and source_kind = 'task' and state <> 'owed'
            returning id
        ), try as (
            delete from webhook_attempts where delivery_id = any (array(select id from delivery))
        ), doorbell as (
            delete from outbox where task_id = any ((select ids from doomed)::uuid[])
        ), told as (
            select task_id, json_agg(json_build_object('at', at, 'attempt', attempt, 'state', state, 'message', message)
                                     order by id) as events
            from event group by task_id
        ), kept as (
            insert into cleanup_backups (source, kind, cleaned_by, cleaned_at, line)
            select g.id, 'task', $4, coalesce($6::timestamptz, statement_timestamp()),
                   json_build_object('kind', 'task', 'task', row_to_json(g), 'events', coalesce(told.events, '[]'))
            from gone g left join told on told.task_id = g.id
            where $5
        )
        select (select count(*) from gone) as "deleted!", (select count(*) from event) as "parts!",
               (select count(*) from delivery) as "deliveries!", (select id from looked order by id limit 1) as next
        "#,
        batch.below,
        batch.before,
        batch.limit,
        by.task.0,
        batch.backup,
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(Cleaned { deleted: row.deleted, parts: row.parts, deliveries: row.deliveries, next: row.next })
}

/// Whoever retries a workflow meanwhile has read its version before, and finds it gone.
async fn workflows(conn: &mut PgConnection, by: Writer, batch: &Batch, now: Now) -> Result<Cleaned> {
    let row = sqlx::query!(
        r#"
        with looked as (
            select w.id, w.ended_at from workflows w where w.id < $1 order by w.id desc limit $3
        ), doomed as (
            select array(
                select w.id from workflows w
                where w.id = any (array(select id from looked)) and w.ended_at < $2
                  and not exists (select from tasks t
                                  where t.workflow_id = w.id
                                    and (t.ended_at is null or t.ended_at >= $2 or not tries_ended(t.id, $2)))
                order by w.id for update of w) as ids
        ), gone as (
            delete from workflows where id = any ((select ids from doomed)::uuid[]) returning *
        ), step as (
            delete from workflow_steps where workflow_id = any ((select ids from doomed)::uuid[]) returning *
        ), edge as (
            delete from workflow_edges where workflow_id = any ((select ids from doomed)::uuid[]) returning *
        ), signal as (
            delete from workflow_signals where workflow_id = any ((select ids from doomed)::uuid[])
        ), delivery as (
            delete from webhook_deliveries
            where source = any ((select ids from doomed)::uuid[]) and source_kind = 'workflow' and state <> 'owed'
            returning id
        ), try as (
            delete from webhook_attempts where delivery_id = any (array(select id from delivery))
        ), steps as (
            select workflow_id, json_agg(row_to_json(s) order by s.step) as lines from step s group by workflow_id
        ), edges as (
            select workflow_id, json_agg(row_to_json(e) order by e.before_step, e.after_step) as lines
            from edge e group by workflow_id
        ), kept as (
            insert into cleanup_backups (source, kind, cleaned_by, cleaned_at, line)
            select g.id, 'workflow', $4, coalesce($6::timestamptz, statement_timestamp()),
                   json_build_object('kind', 'workflow', 'workflow', row_to_json(g), 'steps', coalesce(s.lines, '[]'),
                                     'edges', coalesce(e.lines, '[]'))
            from gone g left join steps s on s.workflow_id = g.id left join edges e on e.workflow_id = g.id
            where $5
        )
        select (select count(*) from gone) as "deleted!", (select count(*) from step) as "parts!",
               (select count(*) from delivery) as "deliveries!", (select id from looked order by id limit 1) as next
        "#,
        batch.below,
        batch.before,
        batch.limit,
        by.task.0,
        batch.backup,
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(Cleaned { deleted: row.deleted, parts: row.parts, deliveries: row.deliveries, next: row.next })
}

/// The lowest id of a task: how far back the history goes.
pub async fn first_task(conn: &mut PgConnection) -> Result<Option<TaskId>> {
    let id = sqlx::query_scalar!("select id from tasks order by id limit 1").fetch_optional(conn).await?;
    Ok(id.map(TaskId))
}
