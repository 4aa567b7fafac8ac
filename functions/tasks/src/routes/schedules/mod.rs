//! Schedules: `POST /tasks/schedule`, `/tasks/schedules` and what is below.

pub mod change;
pub mod create;
pub mod delete;
pub mod get;
pub mod list;
mod request;
pub mod run;
mod view;

use chrono::{DateTime, Utc};
use halyard_domain::{ScheduleId, schedule::Timing};
use halyard_http::{FieldError, Problem};
use halyard_store::schedules::{Definition, ScheduleRecord};
use serde_json::{Value, json};

/// Times that an answer previews unless asked for another number.
const PREVIEW: usize = 5;

/// When a schedule is due first, or again: never while it is paused or once its runs are used up.
///
/// # Errors
/// 422 when there is no such time: what is asked for has passed.
fn next_at(definition: &Definition, iterations: i32, after: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Problem> {
    let next = definition.timing.next_after(after).ok_or_else(|| {
        let (pointer, detail) = match definition.timing {
            Timing::Once { .. } => ("/schedule/at", "must be in the future"),
            _ => ("/schedule", "is never due again"),
        };
        Problem::unprocessable(vec![FieldError::new(pointer, "never_due", detail)])
    })?;
    let goes_on = definition.active && definition.max_iterations.is_none_or(|most| iterations < most);
    Ok(goes_on.then_some(next))
}

/// The next `n` times at which something will be tried; as if it was not paused, for one that is.
fn upcoming(schedule: &ScheduleRecord, n: usize) -> Vec<DateTime<Utc>> {
    let Definition { timing, active, max_iterations, .. } = &schedule.definition;
    let left = max_iterations.map_or(usize::MAX, |most| usize::try_from(most - schedule.iterations).unwrap_or(0));
    let n = n.min(left);
    match schedule.next_at {
        Some(first) => std::iter::successors(Some(first), |last| timing.next_after(*last)).take(n).collect(),
        None if *active => Vec::new(),
        None => timing.preview(schedule.now.max(schedule.decided_until.unwrap_or(schedule.now)), n),
    }
}

/// Where to go on from a schedule.
fn links(id: ScheduleId) -> Value {
    json!({ "self": format!("/tasks/schedules/{id}"), "run": format!("/tasks/schedules/{id}/run") })
}
