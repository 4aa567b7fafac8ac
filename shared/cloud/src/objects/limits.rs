//! What is checked before a request leaves, so that the twin and the real service refuse the same things. Of what S3 allows in a
//! key this is the part that means the same in a URL, in a signature and in the name of a file.
//! Source: Amazon S3 User Guide, "Naming Amazon S3 objects"; Amazon S3 API Reference, "Authenticating Requests: Using Query
//! Parameters".

use std::time::Duration;

use super::ObjectError;

/// The largest object: what an environment can hold. (S3 takes 5 GB in one request.)
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The longest key.
pub const MAX_KEY: usize = 1024;
/// The longest life of a link.
pub const MAX_LINK: Duration = Duration::from_hours(7 * 24);

fn refuse<T>(why: impl Into<String>) -> Result<T, ObjectError> {
    Err(ObjectError::Refused(why.into()))
}

pub(super) fn check_key(key: &str) -> Result<(), ObjectError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(allowed);
    if key.len() > MAX_KEY || !key.split('/').all(is_part) {
        return refuse("a key has 1 to 1024 letters, digits, '-', '_' and '.', in parts that begin with no '.'");
    }
    Ok(())
}

pub(super) fn check_put(key: &str, body: &[u8], content_type: &str) -> Result<(), ObjectError> {
    check_key(key)?;
    if body.len() > MAX_BYTES {
        return refuse("an object has at most 64 MiB");
    }
    if content_type.is_empty() || !content_type.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return refuse("a media type is one line of ASCII");
    }
    Ok(())
}

pub(super) fn check_link(key: &str, valid: Duration) -> Result<(), ObjectError> {
    check_key(key)?;
    if valid < Duration::from_secs(1) || valid > MAX_LINK {
        return refuse("a link is good for a second to seven days");
    }
    Ok(())
}
