//! Who calls, and from where.

use axum::extract::FromRequestParts;
use halyard_auth::{AuthnFailure, Principal};
use http::request::Parts;

use crate::{Problem, RequestInfo};

/// The caller; 401 without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(pub Principal);

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
