//! `GET /tasks/dead-letters`

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use halyard_domain::{Lane, Priority, TaskId, UserId, task::TaskState};
use halyard_http::{
    ApiResult, AppQuery, Cursor, Items, PageQuery, Permitted, TasksManageAll, Violations, openapi::Operation, success,
};
use halyard_store::tasks::{self, DeadFilter, DeadLetter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::TaskError,
    routes::{
        bulk::{check_text, check_time},
        database,
    },
    state::AppState,
    view::ErrorView,
};

/// The filters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Request {
    #[schemars(length(max = 120))]
    task_type: Option<String>,
    /// The `code` of the reason: `unknown_type`.
    #[schemars(length(max = 120))]
    reason: Option<String>,
    user_id: Option<UserId>,
    died_after: Option<DateTime<Utc>>,
    died_before: Option<DateTime<Utc>>,
    /// Those that another task tries again, or those that none does.
    redriven: Option<bool>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeadLetter")]
struct Item {
    task_id: TaskId,
    task_type: String,
    user_id: i64,
    #[schemars(with = "Priority")]
    priority: i16,
    lane: Lane,
    /// Why it was given up.
    reason: Option<ErrorView>,
    /// Begun.
    attempts: i16,
    /// That ended in failure.
    failures: i16,
    /// Whose worker vanished.
    lost_leases: i16,
    /// Who ran the last one.
    worker_id: Option<String>,
    created_at: DateTime<Utc>,
    died_at: DateTime<Utc>,
    /// The task that it tried again.
    retry_of: Option<TaskId>,
    /// The task that tries it again.
    redriven_as: Option<TaskId>,
}

/// Tasks that the platform gave up, the newest first.
pub async fn handler(
    State(state): State<AppState>,
    _: Permitted<TasksManageAll>,
    page: PageQuery,
    AppQuery(filter): AppQuery<Request>,
) -> ApiResult<impl IntoResponse> {
    let mut violations = Violations::default();
    check_text("/task_type", filter.task_type.as_deref(), &mut violations);
    check_text("/reason", filter.reason.as_deref(), &mut violations);
    check_time("/died_after", filter.died_after, &mut violations);
    check_time("/died_before", filter.died_before, &mut violations);
    violations.into_result()?;
    let cursor = page.cursor.as_ref().map(Cursor::decode::<TaskId>).transpose()?;
    let Request { task_type, reason, user_id, died_after, died_before, redriven } = filter;
    let filter = DeadFilter { task_type, reason, user_id, died_after, died_before, redriven };
    // One more than asked for tells whether there is a next page.
    let wanted = i64::from(page.limit) + 1;
    let found = database(&state, async |conn| tasks::dead_letters(conn, &filter, cursor, wanted).await).await;
    let mut letters = found.map_err(TaskError::from)?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = letters.len() > limit;
    letters.truncate(limit);
    let next_cursor = letters.last().filter(|_| more).map(|letter| Cursor::encode(&letter.id));
    Ok(success(Items { items: letters.into_iter().map(item).collect::<Vec<_>>(), next_cursor }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("listDeadLetters", "Tasks that the platform gave up")
        .detail(
            "The newest first. `dead` are those whose workers vanished time and again, whose type is unknown or whose \
                 input cannot be decoded. What failed by its own code is in `GET /tasks?status=failed`.",
        )
        .answers::<Items<Item>>("A page of dead letters.");
}

fn item(letter: DeadLetter) -> Item {
    Item {
        task_id: letter.id,
        task_type: letter.task_type,
        user_id: letter.user_id.0,
        priority: letter.priority.get(),
        lane: letter.lane,
        reason: letter.error.map(|text| ErrorView::new(text, TaskState::Dead)),
        attempts: letter.attempt,
        failures: letter.failures,
        lost_leases: letter.lost_leases,
        worker_id: letter.worker_id,
        created_at: letter.created_at,
        died_at: letter.died_at,
        retry_of: letter.retry_of,
        redriven_as: letter.redriven_as,
    }
}
