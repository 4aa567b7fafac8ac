//! `POST /tasks/bulk/retry`

use std::collections::BTreeSet;

use axum::{extract::State, response::IntoResponse};
use halyard_domain::{Lane, TaskId, authz::Permission, task::TaskState};
use halyard_http::{
    ApiResult, Caller, Cursor, NewIds, RequestInfo, Valid, Validate, Violations, openapi::Operation, success,
};
use halyard_jobs::doorbell::TraceIds;
use halyard_store::tasks::{self, Again, AgainTerms, Retried};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Filter, MOST, check_limit, decode, entry};
use crate::{
    error::TaskError,
    permitted,
    routes::{database, repeated, retry::MESSAGE, ring_for},
    state::{AppState, scope},
};

/// The body.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BulkRetryRequest")]
pub struct Request {
    #[serde(default)]
    filter: Filter,
    /// Every task, in the place of a filter.
    #[serde(default)]
    all: bool,
    /// Only count.
    #[serde(default)]
    dry_run: bool,
    /// At most so many in this call.
    #[schemars(range(min = 1, max = MOST))]
    limit: Option<i64>,
    /// Where the call before ended: its `next_cursor`.
    cursor: Option<String>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        self.filter.validate(self.all, &TaskState::TRIED_AGAIN, violations);
        check_limit(self.limit, violations);
    }
}

/// A new task, and the one that it tries again.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RetriedTask")]
pub struct Pair {
    pub task_id: TaskId,
    pub retry_of: TaskId,
}

/// Tasks that were left alone.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "TasksLeftAlone")]
pub struct Skipped {
    /// Tried again by somebody else meanwhile, or another task has their unique key.
    pub retried_before: usize,
    /// There is no code for them any more.
    pub unknown_task_type: usize,
    /// The caller may not have tasks of their type run.
    pub not_permitted: usize,
    /// Steps that never had their input.
    pub not_released: usize,
    /// Redriven too often already.
    pub too_often: usize,
    /// Not there, or not of a kind that can be tried again.
    pub not_retryable: usize,
}

impl Skipped {
    pub fn count(&mut self, state: &AppState, outcome: &Retried) {
        match outcome {
            Retried::Accepted(_) => {}
            Retried::NotFor(_) => self.not_retryable += 1,
            Retried::UnknownType(name) if state.registry.get(name).is_some() => self.not_permitted += 1,
            Retried::UnknownType(_) => self.unknown_task_type += 1,
            Retried::Unreleased => self.not_released += 1,
            Retried::Before(_) => self.retried_before += 1,
            Retried::TooOften => self.too_often += 1,
        }
    }
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BulkRetry")]
struct Response {
    dry_run: bool,
    /// Tasks that can be tried again, that nobody does, and that the filter lets through.
    matched: usize,
    /// Those of them that are tried again now.
    retried: usize,
    skipped: Skipped,
    tasks: Vec<Pair>,
    /// There may be more: the same body with this as `cursor` goes on. Null at the end.
    next_cursor: Option<String>,
}

/// Tries the tasks again that a filter lets through: the caller's own; everybody's with `tasks:manage_all`.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    info: RequestInfo,
    mut new: NewIds,
    Valid(request): Valid<Request>,
) -> ApiResult<impl IntoResponse> {
    let cursor = decode(request.cursor)?;
    let scope = scope(&caller, Permission::TasksManageAll);
    let now = state.clock.database_override();
    let limit = request.limit.unwrap_or(MOST);
    let new_ids: Vec<_> = (0..limit).map(|_| TaskId(new.make())).collect();
    let again = new.again();
    let request_id = info.request_id().to_string();
    let audit = entry(&caller, scope, "task.bulk_retry", &request.filter, &info, &request_id);
    let ids = TraceIds { request_id: Some(request_id.clone()), traceparent: Some(info.traceparent()) };
    let types = permitted::types(&state, &caller);
    let done = database(&state, async |conn| {
        if let Some(made) = repeated::made(conn, again, &new_ids, now).await? {
            return Ok(Ok((made.of, made.next, made.done)));
        }
        let filter = request.filter.of_store();
        let found = tasks::matching(conn, scope.into(), &filter, &TaskState::TRIED_AGAIN, true, cursor, limit).await?;
        if request.dry_run || found.ids.is_empty() {
            return Ok(Ok((found.ids, found.next, Vec::new())));
        }
        // Operators are let through with whatever the filter finds, tasks of their own included.
        if scope.is_some()
            && let Err(full) = state.gate.check_again(conn, caller.user_id, &found.ids, state.clock.now()).await?
        {
            return Ok(Err(full));
        }
        let terms = AgainTerms {
            scope: scope.into(),
            states: &TaskState::TRIED_AGAIN,
            types: &types,
            message: MESSAGE,
            longest_chain: None,
            request_id: ids.request_id.as_deref(),
            traceparent: ids.traceparent.as_deref(),
            audit: audit.as_ref(),
        };
        // The oldest first, as they were submitted.
        let wanted = found.ids.iter().rev().zip(&new_ids);
        let wanted: Vec<_> = wanted.map(|(&of, &id)| Again { of, id, delay: chrono::Duration::zero() }).collect();
        let done = tasks::again(conn, &wanted, &terms, now).await?;
        Ok(Ok(match repeated::made(conn, again && repeated::lost(&done), &new_ids, now).await? {
            Some(made) => (made.of, made.next, made.done),
            None => (found.ids, found.next, done),
        }))
    });
    let (found, next, done) = done.await.map_err(TaskError::from)??;
    let mut skipped = Skipped::default();
    for (_, outcome) in &done {
        skipped.count(&state, outcome);
    }
    let new = || {
        done.iter().filter_map(|(_, outcome)| match outcome {
            Retried::Accepted(new) => Some(new),
            _ => None,
        })
    };
    ring_for(&state, new().map(|new| (new.lane, new.delay)), &ids).await;
    let lanes: BTreeSet<Lane> = new().map(|new| new.lane).collect();
    for lane in lanes {
        state.gate.count(&state, caller.user_id, lane).await;
    }
    let tasks: Vec<_> = new().map(|new| Pair { task_id: new.id, retry_of: new.of }).collect();
    Ok(success(Response {
        dry_run: request.dry_run,
        matched: found.len(),
        retried: tasks.len(),
        skipped,
        tasks,
        next_cursor: next.map(|id| Cursor::encode(&id)),
    }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("retryTasks", "Try many ended tasks again")
        .detail(
            "The caller's own; everybody's with the permission `tasks:manage_all`, which is audited. Each becomes a new \
                 task, as `POST /tasks/retry/{id}` makes one. One call changes 1,000 tasks at most and looks at 10,000; \
                 `next_cursor` goes on. `dry_run` counts.",
        )
        .example(json!({"filter": {"task_type": "sample", "status": "failed"}, "dry_run": true}))
        .answers::<Response>("What was done, or would be.")
        .problem(429, "queue_full", "as many tasks wait as may, of the caller's or in a lane: nothing is tried again");
}
