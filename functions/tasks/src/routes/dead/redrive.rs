//! `POST /tasks/dead-letters/redrive`

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Duration, Utc};
use halyard_domain::{
    TaskId, UserId,
    task::{MAX_REDRIVEN, TaskState},
};
use halyard_http::{
    ApiResult, Cursor, NewIds, Permitted, RequestInfo, TasksManageAll, Valid, Validate, Violations, openapi::Operation,
    success,
};
use halyard_jobs::doorbell::TraceIds;
use halyard_store::{
    audit,
    tasks::{self, Again, AgainTerms, DeadFilter, Retried, Scope},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    error::TaskError,
    permitted,
    routes::{
        bulk::{MOST, check_limit, check_text, check_time, retry::Skipped},
        database, repeated, ring_for,
    },
    state::AppState,
};

/// Tasks a second, unless the body says otherwise.
const RATE: u32 = 10;
/// The greatest rate.
const MAX_RATE: u32 = 1_000;
/// What the new task's history begins with.
const MESSAGE: &str = "Task redriven from the dead letter";

/// Which of them.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DeadLetterFilter")]
pub struct Filter {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 120))]
    task_type: Option<String>,
    /// The `code` of the reason: `unknown_type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 120))]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    died_after: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    died_before: Option<DateTime<Utc>>,
}

/// The body: `task_ids`, or `filter`, or `all`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RedriveRequest")]
pub struct Request {
    #[schemars(length(min = 1, max = MOST))]
    task_ids: Option<Vec<TaskId>>,
    filter: Option<Filter>,
    /// Every dead letter.
    #[serde(default)]
    all: bool,
    /// So many of them become due a second; 10 when it is not given.
    #[schemars(range(min = 1, max = MAX_RATE))]
    rate: Option<u32>,
    /// When the first becomes due; at once when it is not given. A call that goes on takes the `last_due` of the one before.
    not_before: Option<DateTime<Utc>>,
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
        let ways = [self.task_ids.is_some(), self.filter.is_some(), self.all].into_iter().filter(|way| *way).count();
        violations.check(ways == 1, "", "required", "must say which: exactly one of task_ids, filter and all");
        let few =
            self.task_ids.as_ref().is_none_or(|ids| (1..=MOST).contains(&i64::try_from(ids.len()).unwrap_or(MOST + 1)));
        violations.check(few, "/task_ids", "out_of_range", format!("must be 1 to {MOST}"));
        if let Some(filter) = &self.filter {
            let Filter { task_type, reason, user_id, died_after, died_before } = filter;
            let empty = task_type.is_none()
                && reason.is_none()
                && user_id.is_none()
                && died_after.is_none()
                && died_before.is_none();
            violations.check(!empty, "/filter", "required", "must say which; `all` says that every one is meant");
            check_text("/filter/task_type", task_type.as_deref(), violations);
            check_text("/filter/reason", reason.as_deref(), violations);
            check_time("/filter/died_after", *died_after, violations);
            check_time("/filter/died_before", *died_before, violations);
        }
        let holds = self.rate.is_none_or(|rate| (1..=MAX_RATE).contains(&rate));
        violations.check(holds, "/rate", "out_of_range", format!("must be between 1 and {MAX_RATE}"));
        check_time("/not_before", self.not_before, violations);
        check_limit(self.limit, violations);
    }
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Redrive")]
struct Response {
    dry_run: bool,
    /// Dead letters that are meant.
    matched: usize,
    /// Those of them that are tried again now.
    redriven: usize,
    skipped: Skipped,
    tasks: Vec<Redriven>,
    /// When the last of them becomes due.
    last_due: Option<DateTime<Utc>>,
    /// There may be more: the same body with this as `cursor` goes on. Null at the end.
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RedrivenTask")]
struct Redriven {
    task_id: TaskId,
    retry_of: TaskId,
    scheduled_for: DateTime<Utc>,
}

/// Tries dead letters again, as new tasks that become due one after the other.
pub async fn handler(
    State(state): State<AppState>,
    caller: Permitted<TasksManageAll>,
    info: RequestInfo,
    mut new: NewIds,
    Valid(request): Valid<Request>,
) -> ApiResult<impl IntoResponse> {
    let cursor = request.cursor.clone().map(|text| Cursor::from_text(text).decode::<TaskId>()).transpose()?;
    let (now, wall) = (state.clock.database_override(), state.clock.now());
    let limit = request.limit.unwrap_or(MOST);
    let rate = request.rate.unwrap_or(RATE);
    let new_ids: Vec<_> = (0..MOST).map(|_| TaskId(new.make())).collect();
    let again = new.again();
    let ids = TraceIds { request_id: Some(info.request_id().to_string()), traceparent: Some(info.traceparent()) };
    let types = permitted::types(&state, &caller);
    let entry = audit::Entry {
        actor: Some(caller.user_id),
        action: "task.redrive",
        target: "dead-letters",
        detail: json!({
            "task_ids": request.task_ids, "filter": request.filter, "all": request.all, "rate": rate,
            "address": info.address(),
        }),
        request_id: ids.request_id.as_deref(),
    };
    let start = request.not_before.map_or_else(Duration::zero, |at| (at - wall).max(Duration::zero()));
    let done = database(&state, async |conn| {
        if let Some(made) = repeated::made(conn, again, &new_ids, now).await? {
            return Ok((made.of, made.next, made.done));
        }
        let (found, next): (Vec<_>, _) = if let Some(chosen) = &request.task_ids {
            // A task that is named twice is meant once.
            let mut named = std::collections::HashSet::new();
            (chosen.iter().copied().filter(|id| named.insert(*id)).collect(), None)
        } else {
            let letters = tasks::dead_letters(conn, &filter_of(request.filter.as_ref()), cursor, limit).await?;
            let full = i64::try_from(letters.len()).is_ok_and(|n| n >= limit);
            let next = letters.last().filter(|_| full).map(|letter| letter.id);
            (letters.into_iter().map(|letter| letter.id).collect(), next)
        };
        if request.dry_run || found.is_empty() {
            return Ok((found, next, Vec::new()));
        }
        // Whatever waits already: this is how operators recover, at a rate (gate.rs).
        let placed = |(place, (&of, &id)): (usize, _)| Again {
            of,
            id,
            delay: start + Duration::microseconds(1_000_000 * i64::try_from(place).unwrap_or(0) / i64::from(rate)),
        };
        let wanted: Vec<_> = found.iter().zip(&new_ids).enumerate().map(placed).collect();
        let terms = AgainTerms {
            scope: Scope::All,
            states: &[TaskState::Dead],
            types: &types,
            message: MESSAGE,
            longest_chain: Some(MAX_REDRIVEN),
            request_id: ids.request_id.as_deref(),
            traceparent: ids.traceparent.as_deref(),
            audit: Some(&entry),
        };
        let done = tasks::again(conn, &wanted, &terms, now).await?;
        match repeated::made(conn, again && repeated::lost(&done), &new_ids, now).await? {
            Some(made) => Ok((made.of, made.next, made.done)),
            None => Ok((found, next, done)),
        }
    });
    let (found, next, done) = done.await.map_err(TaskError::from)?;
    let mut skipped = Skipped::default();
    for (_, outcome) in &done {
        skipped.count(&state, outcome);
    }
    if !request.dry_run {
        skipped.not_retryable += found.len() - done.len();
    }
    let mut new: Vec<_> = done
        .into_iter()
        .filter_map(|(_, outcome)| match outcome {
            Retried::Accepted(new) => Some(new),
            _ => None,
        })
        .collect();
    new.sort_by_key(|new| (new.available_at, new.id));
    ring_for(&state, new.iter().map(|new| (new.lane, new.delay)), &ids).await;
    Ok(success(Response {
        dry_run: request.dry_run,
        matched: found.len(),
        redriven: new.len(),
        skipped,
        last_due: new.last().map(|new| new.available_at),
        tasks: new
            .into_iter()
            .map(|new| Redriven { task_id: new.id, retry_of: new.of, scheduled_for: new.available_at })
            .collect(),
        // Those that were named are all that were meant.
        next_cursor: next.filter(|_| request.task_ids.is_none()).map(|id| Cursor::encode(&id)),
    }))
}

/// Those that nobody has redriven yet.
fn filter_of(filter: Option<&Filter>) -> DeadFilter {
    let redriven = Some(false);
    filter.map_or_else(
        || DeadFilter { redriven, ..DeadFilter::default() },
        |filter| DeadFilter {
            task_type: filter.task_type.clone(),
            reason: filter.reason.clone(),
            user_id: filter.user_id,
            died_after: filter.died_after,
            died_before: filter.died_before,
            redriven,
        },
    )
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("redriveDeadLetters", "Try dead letters again")
        .detail(
            "As new tasks (`retry_of`) that become due one after the other, `rate` a second. A dead letter is redriven \
                 once: when the new task dies, too, that one can be redriven, five times in all. One call takes 1,000 at \
                 most; `next_cursor` goes on. It is audited. `dry_run` counts.",
        )
        .example(json!({"filter": {"task_type": "sample"}, "rate": 10, "dry_run": true}))
        .answers::<Response>("What was done, or would be.");
}
