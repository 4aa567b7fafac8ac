//! Who calls, and from where.

use axum::extract::FromRequestParts;
use halyard_auth::{AuthnFailure, Principal};
use halyard_domain::SessionId;
use http::{StatusCode, request::Parts};

use crate::{Problem, RequestInfo};

/// The caller; 401 without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(pub Principal);

/// The caller and the session that they signed in with; 403 for one who shows an API key. For what only a person may do:
/// end sessions, change the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionCaller(pub Principal, pub SessionId);

/// The caller, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaybeCaller(pub Option<Principal>);

/// The client's address as the gateway saw it; empty where the host gives none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAddress(pub String);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let principal = RequestInfo::of(parts)?.principal().cloned();
        principal.map(Self).ok_or_else(|| Problem::unauthorized(AuthnFailure::Missing))
    }
}

impl<S: Sync> FromRequestParts<S> for SessionCaller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Caller(principal) = Caller::from_request_parts(parts, state).await?;
        let detail = "an API key cannot do this; sign in";
        let session = principal.session_id();
        let session = session.ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "session_required", detail))?;
        Ok(Self(principal, session))
    }
}

impl<S: Sync> FromRequestParts<S> for MaybeCaller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(RequestInfo::of(parts)?.principal().cloned()))
    }
}

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(RequestInfo::of(parts)?.address().unwrap_or_default().to_owned()))
    }
}
