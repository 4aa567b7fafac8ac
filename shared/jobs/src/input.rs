//! Decoding a task's `data`, and naming what is wrong with it.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_path_to_error::{Path, Segment};

/// One thing that is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError {
    /// A JSON pointer (RFC 6901) into the task's `data`; empty for `data` itself.
    pub pointer: String,
    /// A stable `snake_case` code.
    pub code: &'static str,
    /// The rule, for people.
    pub detail: String,
}

impl InputError {
    /// A broken rule at `pointer`.
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}

/// The input does not fit the task type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the task's data do not fit its type: {}", .0.iter().map(|e| format!("{} {}", e.pointer, e.detail)).collect::<Vec<_>>().join("; "))]
pub struct InvalidInput(pub Vec<InputError>);

impl From<InputError> for InvalidInput {
    fn from(error: InputError) -> Self {
        Self(vec![error])
    }
}

/// Decodes `data`; an error names the place by its JSON pointer.
pub fn decode<T: DeserializeOwned>(data: &RawValue) -> Result<T, InvalidInput> {
    let mut json = serde_json::Deserializer::from_str(data.get());
    serde_path_to_error::deserialize(&mut json)
        .map_err(|error| describe(error.path(), &error.inner().to_string()).into())
}

/// The longest description of an error, in characters.
const LONGEST_MESSAGE: usize = 200;

fn describe(path: &Path, message: &str) -> InputError {
    let mut pointer = String::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&name);
    }
    // serde_json adds where in the text; the pointer says it better.
    let message = message.rsplit_once(" at line ").map_or(message, |(head, _)| head);
    // serde reports a missing field at its parent: the pointer should name the field itself.
    if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        return InputError::new(format!("{pointer}/{field}"), "required", "is required");
    }
    // serde quotes what it found, however long that is.
    let message = match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => Cow::Owned(format!("{}…", &message[..end])),
        None => Cow::Borrowed(message),
    };
    let code = if message.starts_with("invalid type") { "invalid_type" } else { "invalid_value" };
    InputError::new(pointer, code, message)
}
