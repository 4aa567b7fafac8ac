//! Changes of many tasks: what they have in common.

pub mod cancel;
pub mod retry;

use chrono::{DateTime, Utc};
use halyard_auth::Principal;
use halyard_domain::{Priority, TaskId, UserId, WorkflowId, task::TaskState};
use halyard_http::{ApiResult, Cursor, RequestInfo, Violations, is_rfc3339};
use halyard_store::{audit, tasks};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The most tasks that one call changes.
pub const MOST: i64 = 1_000;
/// The longest name of a type that is looked for, in characters.
const LONGEST_NAME: usize = 120;

/// Which tasks, as in `GET /tasks`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskFilter")]
pub struct Filter {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<TaskState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = LONGEST_NAME))]
    task_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<Priority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submitted_after: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submitted_before: Option<DateTime<Utc>>,
    /// The steps of this workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_id: Option<WorkflowId>,
}

impl Filter {
    fn of_store(&self) -> tasks::Filter {
        tasks::Filter {
            state: self.status,
            task_type: self.task_type.clone(),
            priority: self.priority,
            submitted_after: self.submitted_after,
            submitted_before: self.submitted_before,
            workflow: self.batch_id,
        }
    }

    /// `states` are those that the change is for.
    fn validate(&self, all: bool, states: &[TaskState], violations: &mut Violations) {
        let whole = self.of_store().is_empty();
        violations.check(
            all || !whole,
            "/filter",
            "required",
            "must say which tasks; `all` says that every one is meant",
        );
        violations.check(!all || whole, "/all", "contradictory", "may not stand beside a filter");
        let names: Vec<_> = states.iter().map(|state| state.as_str()).collect();
        let fits = self.status.is_none_or(|state| states.contains(&state));
        violations.check(fits, "/filter/status", "invalid_value", format!("must be one of {}", names.join(", ")));
        check_text("/filter/task_type", self.task_type.as_deref(), violations);
        check_time("/filter/submitted_after", self.submitted_after, violations);
        check_time("/filter/submitted_before", self.submitted_before, violations);
    }
}

/// PostgreSQL's text holds no NUL.
pub fn check_text(pointer: &'static str, text: Option<&str>, violations: &mut Violations) {
    let short = text.is_none_or(|text| text.chars().count() <= LONGEST_NAME);
    violations.check(short, pointer, "too_long", format!("must have at most {LONGEST_NAME} characters"));
    violations.check(!text.is_some_and(|t| t.contains('\0')), pointer, "invalid_characters", "may not hold NUL");
}

/// A time that the database and RFC 3339 can say.
pub fn check_time(pointer: &'static str, at: Option<DateTime<Utc>>, violations: &mut Violations) {
    violations.check(at.is_none_or(is_rfc3339), pointer, "out_of_range", "must be in the years 0 to 9999");
}

/// How many tasks one call may change.
pub fn check_limit(limit: Option<i64>, violations: &mut Violations) {
    let holds = limit.is_none_or(|limit| (1..=MOST).contains(&limit));
    violations.check(holds, "/limit", "out_of_range", format!("must be between 1 and {MOST}"));
}

fn decode(cursor: Option<String>) -> ApiResult<Option<TaskId>> {
    cursor.map(|text| Cursor::from_text(text).decode()).transpose()
}

/// What is kept of a change of everybody's tasks; nothing of one's own.
fn entry<'a>(
    caller: &Principal,
    scope: Option<UserId>,
    action: &'a str,
    filter: &Filter,
    info: &RequestInfo,
    request_id: &'a str,
) -> Option<audit::Entry<'a>> {
    scope.is_none().then(|| audit::Entry {
        actor: Some(caller.user_id),
        action,
        target: "tasks",
        detail: json!({"filter": filter, "address": info.address()}),
        request_id: Some(request_id),
    })
}
