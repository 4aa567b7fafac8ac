//! Which credential an event carries.

use halyard_platform::function::AuthorizerRequest;

/// The dashboard's session cookie; its value is an access token.
pub const COOKIE: &str = "halyard_session";

/// A credential, not yet believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// The value of the `Authorization` header.
    Authorization(String),
    /// The value of the session cookie.
    Cookie(String),
    /// The route's authorizer asks for one and there is none: a `Cookie` header without our cookie.
    Missing,
    /// The route's authorizer does without, and there is none.
    Anonymous,
}

/// Finds the credential. The three uses differ by their identity sources, which the event repeats:
/// - `bearer`: the `Authorization` header. A cookie on such a route counts for nothing (no cross-site requests).
/// - `cookie`: the `Cookie` header. An `Authorization` header on such a route counts for nothing: it is not part of
///   the gateway's cache key.
///   Where the two headers are the same, nobody can tell which of them is the identity, and there is none.
/// - `optional`: none. Only then is the header looked for; this answer is never cached.
pub fn credential(event: &AuthorizerRequest) -> Credential {
    let authorization = event.headers.get(http::header::AUTHORIZATION).map(|v| String::from_utf8_lossy(v.as_bytes()));
    match (event.identity_source.as_deref().unwrap_or_default(), authorization) {
        ([], None) => Credential::Anonymous,
        ([], Some(header)) => Credential::Authorization(header.into_owned()),
        ([identity, ..], Some(header)) if *identity == header => {
            let is_cookie = event.cookies.join("; ") == header;
            if is_cookie { Credential::Missing } else { Credential::Authorization(header.into_owned()) }
        }
        ([identity, ..], _) => session_cookie(event, identity).map_or(Credential::Missing, Credential::Cookie),
    }
}

/// The cookie's value. API Gateway takes cookies out of the headers into a list of their own; the identity source
/// keeps the header as it was.
fn session_cookie(event: &AuthorizerRequest, identity: &str) -> Option<String> {
    let listed = event.cookies.iter().flat_map(|line| line.split(';'));
    let (_, value) = listed
        .chain(identity.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE && !value.is_empty())?;
    Some(value.trim_matches('"').to_owned())
}
