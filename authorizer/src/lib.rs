//! The Lambda authorizer: a request in, the caller out, as context. Payload 2.0, simple responses.
//!
//! One function serves the template's three authorizers; the event tells which ([`credential`]). It *allows* a bad
//! credential with the context `authn: invalid`, so that the function behind can answer with the 401 problem that the
//! contract asks for: a denied request is a bare 403 that nobody can shape.
//!
//! **When the session store is down** it allows likewise, with `authn: unavailable`, and the function answers 503 with
//! `Retry-After`. The other way would be to fail: an HTTP API answers a failed authorizer with a bare 500, which says
//! that we are broken and not that the caller should come again. The price is that the gateway keeps the answer for
//! the authorizer's 5 s, so a caller may get the 503 that much longer than the trouble lasts. No door opens: the context
//! names no caller.

mod credential;
mod handler;
mod init;

pub use credential::{COOKIE, Credential, credential};
pub use handler::Authorizer;
pub use init::init;
