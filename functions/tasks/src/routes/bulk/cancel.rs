//! `POST /tasks/bulk/cancel`

use std::collections::BTreeSet;

use axum::{extract::State, response::IntoResponse};
use halyard_domain::{authz::Permission, task::TaskState};
use halyard_http::{ApiResult, Caller, Cursor, RequestInfo, Valid, Validate, Violations, openapi::Operation, success};
use halyard_jobs::doorbell::TraceIds;
use halyard_store::tasks::{self, CancelTerms, Cancelled};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Filter, MOST, check_limit, decode, entry};
use crate::{
    error::TaskError,
    routes::{
        cancel::{LONGEST_REASON, check_reason, storable},
        database, ring_for, ring_for_webhooks,
    },
    state::{AppState, scope},
    workflow,
};

/// So many workflows are taken further at once, whose steps were cancelled.
const WORKFLOWS: usize = 20;

/// The body.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BulkCancelRequest")]
pub struct Request {
    #[serde(default)]
    filter: Filter,
    /// Every task, in the place of a filter.
    #[serde(default)]
    all: bool,
    /// Only count.
    #[serde(default)]
    dry_run: bool,
    #[schemars(length(max = LONGEST_REASON))]
    reason: Option<String>,
    /// End those that run at once, whatever their attempts still do.
    #[serde(default)]
    force: bool,
    /// At most so many in this call.
    #[schemars(range(min = 1, max = MOST))]
    limit: Option<i64>,
    /// Where the call before ended: its `next_cursor`.
    cursor: Option<String>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        self.filter.validate(self.all, &TaskState::UNENDED, violations);
        check_reason(violations, self.reason.as_deref());
        check_limit(self.limit, violations);
    }
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BulkCancel")]
struct Response {
    dry_run: bool,
    /// Tasks that had not ended and that the filter lets through.
    matched: usize,
    /// Those of them that are cancelled now.
    cancelled: usize,
    /// Those that run, and are told within about a second.
    requested: usize,
    /// There may be more: the same body with this as `cursor` goes on. Null at the end.
    next_cursor: Option<String>,
}

/// Cancels the tasks that a filter lets through: the caller's own; everybody's with `tasks:manage_all`.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    info: RequestInfo,
    Valid(request): Valid<Request>,
) -> ApiResult<impl IntoResponse> {
    let cursor = decode(request.cursor)?;
    let scope = scope(&caller, Permission::TasksManageAll);
    let now = state.clock.database_override();
    let limit = request.limit.unwrap_or(MOST);
    let request_id = info.request_id().to_string();
    let audit = entry(&caller, scope, "task.bulk_cancel", &request.filter, &info, &request_id);
    let reason = storable(request.reason);
    let done = database(&state, async |conn| {
        let filter = request.filter.of_store();
        let found = tasks::matching(conn, scope.into(), &filter, &TaskState::UNENDED, false, cursor, limit).await?;
        if request.dry_run || found.ids.is_empty() {
            return Ok((found, Vec::new()));
        }
        let terms = CancelTerms { scope: scope.into(), reason: &reason, force: request.force, audit: audit.as_ref() };
        let done = tasks::cancel_many(conn, &found.ids, &terms, now).await?;
        Ok((found, done))
    });
    let (found, done) = done.await.map_err(TaskError::from)?;
    let ended = || {
        done.iter().filter_map(|(_, outcome)| match outcome {
            Cancelled::Ended { workflow, wakes } => Some((workflow, wakes)),
            Cancelled::Requested | Cancelled::TooLate(_) => None,
        })
    };
    let woken = ended().flat_map(|(_, wakes)| wakes).map(|&lane| (lane, chrono::Duration::zero()));
    ring_for(&state, woken, &TraceIds::default()).await;
    if ended().next().is_some() {
        ring_for_webhooks(&state).await;
    }
    let workflows: BTreeSet<_> = ended().filter_map(|(workflow, _)| *workflow).collect();
    // Beat takes the others further.
    for id in workflows.into_iter().take(WORKFLOWS) {
        workflow::take_further(&state, id).await;
    }
    Ok(success(Response {
        dry_run: request.dry_run,
        matched: found.ids.len(),
        cancelled: ended().count(),
        requested: done.iter().filter(|(_, outcome)| *outcome == Cancelled::Requested).count(),
        next_cursor: found.next.map(|id| Cursor::encode(&id)),
    }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("cancelTasks", "Cancel many tasks")
        .detail(
            "The caller's own that have not ended; everybody's with the permission `tasks:manage_all`, which is audited. \
                 One call changes 1,000 tasks at most and looks at 10,000; `next_cursor` goes on. `dry_run` counts.",
        )
        .example(json!({"filter": {"task_type": "sample", "status": "queued"}, "dry_run": true}))
        .answers::<Response>("What was done, or would be.");
}
