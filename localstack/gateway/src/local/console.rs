//! What the launcher says to a person: on standard error, so that standard output carries results alone.

/// Begins the one sentence that an error is.
pub const ERROR_PREFIX: &str = "halyard: ";

/// Says what is being done.
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// Says what went wrong.
pub fn fail(error: &dyn std::error::Error) {
    eprintln!("{ERROR_PREFIX}{error}");
}
