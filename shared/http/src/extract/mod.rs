//! Extractors. Each refuses with a problem.

mod body;
mod caller;
mod page;
mod params;
mod permitted;
mod step_up;

pub(crate) use body::read as read_body;
pub use body::{Lenient, MaybeValid, Valid};
pub use caller::{Caller, ClientAddress, MaybeCaller, SessionCaller};
pub use page::{Cursor, PageQuery};
pub use params::{AppPath, AppQuery};
pub use permitted::{MetricsRead, Permitted, Requirement, SystemManage, TasksManageAll, UsersRead, UsersWrite};
pub use step_up::{STEP_UP, SteppedUp, stepped_up};

use crate::FieldError;

/// So much of what a client sent is said to it again, in characters.
const LONGEST: usize = 200;

/// A serde error with the path to where it happened, as a field error.
fn field_error(path: &serde_path_to_error::Path, message: &str) -> FieldError {
    let mut pointer = String::new();
    for segment in path {
        use serde_path_to_error::Segment;
        match segment {
            Segment::Seq { index } => push(&mut pointer, &index.to_string()),
            Segment::Map { key } | Segment::Enum { variant: key } => push(&mut pointer, key),
            Segment::Unknown => {}
        }
    }
    // serde_json adds where in the text; the pointer says it better.
    let message = message.rsplit_once(" at line ").map_or(message, |(head, _)| head);
    let quoted = |text: &str| text.split('`').nth(1).map(str::to_owned);
    if message.starts_with("missing field") {
        push(&mut pointer, &quoted(message).unwrap_or_default());
        return FieldError::new(pointer, "required", "is required");
    }
    if message.starts_with("unknown field") {
        // serde has the unknown name in the path already.
        return FieldError::new(pointer, "unknown_field", "is not known here");
    }
    let code = if message.starts_with("invalid type") { "invalid_type" } else { "invalid_value" };
    FieldError::new(pointer, code, shortened(message))
}

/// serde says the whole of the value that does not fit; the client knows it, and may have made it long.
fn shortened(message: &str) -> String {
    if message.len() <= LONGEST {
        return message.to_owned();
    }
    let head: String = message.chars().take(LONGEST / 2).collect();
    let expected = message.rfind(", expected ").map_or("", |at| &message[at..]);
    format!("{head}...{}", if expected.len() <= LONGEST { expected } else { "" })
}

/// RFC 6901: `~` and `/` are escaped. A name that no field has may be of any length.
fn push(pointer: &mut String, key: &str) {
    pointer.push('/');
    let key: String = key.chars().take(LONGEST).collect();
    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
}
