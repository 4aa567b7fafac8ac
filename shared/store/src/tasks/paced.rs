//! Submits whose unique key says more: wait until they cease (debounce), or once in a while (throttle).
//!
//! Each is one statement, so that nothing is held when an environment is frozen between two.

use chrono::Duration;
use halyard_domain::task::{AGING_STEP, MAX_SEND_DELAY};
use serde_json::value::RawValue;
use sqlx::PgConnection;

use super::{
    NewTask, Submitted,
    accept::{Belonging, Columns, accept, submitted},
    submit,
    submit::{HolderRow, TRIES},
};
use crate::{Now, Result, StoreError};

/// Accepts a task that starts once its unique key has not been submitted for `wait`: a further submit with it, of the same type,
/// gives the task that waits its data, and puts it off again ([`Submitted::put_off`]), to the
/// [`debounce_until`](super::Ties::debounce_until) that the first one came with at most. A task of that key that is no such one is
/// answered with, as by [`submit`].
///
/// # Errors
/// As [`submit`].
pub async fn debounced(conn: &mut PgConnection, task: &NewTask, wait: Duration, now: Now) -> Result<Submitted> {
    for _ in 0..TRIES {
        if let Some(put_off) = put_off(conn, task, wait, now).await? {
            return Ok(put_off);
        }
        let accepted = submit(conn, task, now).await?;
        // Of two that came first at once, the later one puts the other off.
        let puts_off =
            accepted.instead.as_ref().is_some_and(|holder| holder.debounced && holder.task_type == task.task_type);
        if !puts_off {
            return Ok(accepted);
        }
    }
    Err(StoreError::unavailable("a unique key changed hands again and again"))
}

async fn put_off(conn: &mut PgConnection, task: &NewTask, wait: Duration, now: Now) -> Result<Option<Submitted>> {
    let row = sqlx::query_as!(
        HolderRow,
        r#"
        with at as (
            select coalesce($6::timestamptz, statement_timestamp()) as now
        ), waiting as (
            select t.id, least(at.now + make_interval(secs => $7), t.debounce_until) as due
            from tasks t, at
            where t.user_id = $1 and t.unique_key = $2 and t.task_type = $3 and t.state = 'scheduled' and t.attempt = 0
              and t.debounce_until is not null
            for update of t
        ), task as (
            update tasks t set
                input = $4::json, callbacks = $5::json, available_at = w.due,
                claim_order = w.due + t.priority * make_interval(secs => $8), request_id = $9, traceparent = $10,
                expires_at = $13
            from waiting w where t.id = w.id
            returning t.id, t.task_type, t.state, t.lane, t.priority, t.created_at, t.available_at, t.expires_at, t.timeout_s,
                      t.worker_id
        ), doorbell as (
            update outbox o set
                due_at = t.available_at,
                ring_at = case when t.available_at - at.now > make_interval(secs => $11)
                               then t.available_at - make_interval(secs => $12) else t.available_at end
            from task t, at where o.task_id = t.id
        )
        select 0::bigint as "place!", t.id, t.task_type, t.state, t.lane, t.priority, t.created_at, t.available_at,
               greatest(0, extract(epoch from t.available_at - at.now))::float8 as "delay!", t.expires_at, t.timeout_s,
               true as "debounced!", t.worker_id,
               (select s.seconds / nullif(s.timed, 0) from stat_totals s
                where s.user_id = 0 and s.task_type = t.task_type) as usual
        from task t, at
        "#,
        task.user_id.0,
        task.ties.unique_key.as_deref(),
        task.task_type,
        task.input.get() as &str,
        task.callbacks.as_deref().map(RawValue::get) as Option<&str>,
        now,
        wait.as_seconds_f64(),
        AGING_STEP.as_seconds_f64(),
        task.request_id.as_deref(),
        task.traceparent.as_deref(),
        MAX_SEND_DELAY.as_seconds_f64(),
        crate::outbox::HEAD_START.as_seconds_f64(),
        task.expires_at,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| Ok(Submitted { put_off: true, ..row.into_answer()? })).transpose()
}

/// Accepts a task unless one with its unique key was accepted so within `period` ago, ended or not: then the answer is about that
/// one ([`Submitted::instead`]). One that failed, was cancelled, expired or died does not count.
///
/// # Errors
/// As [`submit`].
pub async fn throttled(conn: &mut PgConnection, task: &NewTask, period: Duration, now: Now) -> Result<Submitted> {
    let key = task.ties.unique_key.as_deref().unwrap_or_default();
    // The task that the key is noted for, if there is no such task.
    let mut missing = None;
    for _ in 0..TRIES {
        let (columns, none) = (Columns::of(std::slice::from_ref(task)), Belonging::none());
        let rows = accept!(
            columns,
            None,
            none,
            now,
            r#"
            turn as (
                insert into throttles (user_id, key, task_id, until)
                select $39, $40, ($1::uuid[])[1], coalesce($21::timestamptz, statement_timestamp()) + make_interval(secs => $41)
                where not exists (
                    select from tasks t where t.user_id = $39 and t.unique_key = $40
                      and t.state in ('queued', 'scheduled', 'running', 'retrying'))
                on conflict (user_id, key) do update set task_id = excluded.task_id, until = excluded.until
                where throttles.until <= coalesce($21, statement_timestamp()) or throttles.task_id = $42
                   or exists (select from tasks t where t.id = throttles.task_id
                                and t.state in ('failed', 'cancelled', 'expired', 'dead'))
                returning task_id
            ),"#,
            "where g.id in (select task_id from turn)",
            task.user_id.0,
            key,
            period.as_seconds_f64(),
            missing as Option<uuid::Uuid>,
        )
        .fetch_all(&mut *conn)
        .await?;
        if let Some(accepted) = submitted(rows, &columns.id)?.pop() {
            return Ok(accepted);
        }
        match last(conn, task, key).await? {
            Last::Task(submitted) => return Ok(submitted),
            Last::Missing(id) => missing = id,
        }
    }
    Err(StoreError::unavailable("a unique key changed hands again and again"))
}

enum Last {
    Task(Submitted),
    /// The key is noted for a task that is not there: another's took the key at that moment, or it is long gone.
    Missing(Option<uuid::Uuid>),
}

/// Who has the key of `task`: whoever has not ended, else whoever it was noted for.
async fn last(conn: &mut PgConnection, task: &NewTask, key: &str) -> Result<Last> {
    let row = sqlx::query_as!(
        HolderRow,
        r#"
        select 0::bigint as "place!", t.id, t.task_type, t.state, t.lane, t.priority, t.created_at, t.available_at,
               0::float8 as "delay!", t.expires_at, t.timeout_s,
               t.debounce_until is not null and t.attempt = 0 as "debounced!", t.worker_id,
               (select s.seconds / nullif(s.timed, 0) from stat_totals s
                where s.user_id = 0 and s.task_type = t.task_type) as usual
        from tasks t
        where t.id = coalesce(
            (select t.id from tasks t where t.user_id = $1 and t.unique_key = $2
               and t.state in ('queued', 'scheduled', 'running', 'retrying')),
            (select task_id from throttles where user_id = $1 and key = $2))
        "#,
        task.user_id.0,
        key,
    )
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(row) = row {
        return Ok(Last::Task(row.into_answer()?));
    }
    let noted =
        sqlx::query_scalar!("select task_id from throttles where user_id = $1 and key = $2", task.user_id.0, key)
            .fetch_optional(conn)
            .await?;
    Ok(Last::Missing(noted))
}

/// Forgets throttles that are past, up to `limit`. Answers how many.
pub async fn forget_throttles(conn: &mut PgConnection, limit: i64, now: Now) -> Result<u64> {
    let done = sqlx::query!(
        "delete from throttles where (user_id, key) in (
             select user_id, key from throttles where until <= coalesce($2::timestamptz, statement_timestamp())
             order by until limit $1 for update skip locked)",
        limit,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
