//! `docs/openapi.json`, out of the code.

use std::{path::PathBuf, sync::LazyLock};

use halyard_http::openapi::{Api, Group, Unfinished};
use serde_json::Value;

use crate::routes::repository;

/// What is true of the whole API.
const DESCRIPTION: &str = "\
Accounts and tokens, background tasks, health.

**Successes** are `{\"status\":\"success\",\"data\":{...}}`; a few answers, which say so, are not. \
**Errors** are problem details (RFC 9457, `application/problem+json`) with a stable code in `error`; answers that the API \
gateway makes itself keep its own bare form, `{\"message\":\"...\"}`. A fault of the server is a 500 with the code `internal`, \
whatever was asked.

**Lists** take `limit` and `cursor`, and give `data.items` and `data.next_cursor`. Times are RFC 3339 in UTC, durations are in \
seconds. What cannot be known is null.

**Limits** are told by the headers `RateLimit` and `RateLimit-Policy`; above them an answer is 429 with `Retry-After`. \
Clients ignore members that they do not know: more may be added.";

/// Every operation, by function.
pub fn groups() -> [Group; 4] {
    [
        halyard_fn_auth::operations().group(),
        halyard_fn_users::operations().group(),
        halyard_fn_tasks::operations().group(),
        halyard_fn_status::operations().group(),
    ]
}

fn api() -> Api {
    Api { title: "Halyard", version: env!("CARGO_PKG_VERSION"), description: DESCRIPTION }
}

/// The document as it should be, as text.
///
/// # Errors
/// When a route is not described.
pub fn text() -> Result<String, Unfinished> {
    let document = api().document(&groups())?;
    // A map of JSON values with names that are texts: serialisation cannot fail.
    Ok(serde_json::to_string_pretty(&document).expect("a document") + "\n")
}

/// The document as it is committed.
pub fn file() -> PathBuf {
    repository("docs/openapi.json")
}

/// The document that answers are held against: the code's own, so that a stale file misleads nobody. A route that is not
/// described fails its own tests, and the document's.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| api().draft(&groups()).0);
    &DOCUMENT
}
