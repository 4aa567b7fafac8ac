//! Task types that not everybody may have run.

use halyard_auth::Principal;
use halyard_http::{Problem, openapi::Operation};

use crate::state::AppState;

/// May the caller have tasks of this type run? What is not known is told elsewhere.
///
/// # Errors
/// 403 when the type needs a permission that the caller does not have.
pub fn check(state: &AppState, caller: &Principal, task_type: &str) -> Result<(), Problem> {
    let requires = state.registry.get(task_type).and_then(|task_type| task_type.requires());
    match requires.filter(|permission| !caller.may(*permission)) {
        None => Ok(()),
        Some(permission) => {
            let why = format!("tasks of the type {task_type} need the permission {}", permission.as_str());
            Err(Problem::forbidden(why))
        }
    }
}

/// The names of the types that the caller may have run.
pub fn types(state: &AppState, caller: &Principal) -> Vec<&'static str> {
    let allowed = state.registry.iter().filter(|task| task.requires().is_none_or(|permission| caller.may(permission)));
    allowed.map(|task| task.task_type()).collect()
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.problem(403, "forbidden", "the type of the task needs a permission that the caller does not have");
}
