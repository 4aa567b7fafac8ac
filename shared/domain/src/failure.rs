//! Why a task did not end well, as its stored text says it.

use crate::task::TaskState;

/// Code and message of a stored text: `code: message`, or only a message when a person gave it.
pub fn failure_of(text: String, state: TaskState) -> (String, String) {
    let is_code = |head: &str| !head.is_empty() && head.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match text.split_once(": ") {
        Some((code, message)) if state != TaskState::Cancelled && is_code(code) => {
            (code.to_owned(), message.to_owned())
        }
        _ if state.is_terminal() => (state.to_string(), text),
        // What the reaper says of an attempt whose worker vanished.
        _ => ("lease_lost".to_owned(), text),
    }
}
