//! Callers who have shown lately who they are (RFC 9470).

use axum::extract::FromRequestParts;
use chrono::{DateTime, Duration, Utc};
use halyard_auth::Principal;
use halyard_domain::SessionId;
use http::{StatusCode, request::Parts};

use crate::{Problem, RequestInfo, SessionCaller};

/// For how long after a sign-in, or a step-up, what protects the account may be changed.
pub const STEP_UP: Duration = Duration::minutes(10);

/// A caller with a session who signed in, or stepped up, within [`STEP_UP`]; else 401 `step_up_required` with the challenge
/// of RFC 9470, section 3. For what a stolen token must not be able to do: keys, second factors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SteppedUp(pub Principal, pub SessionId);

impl<S: Sync> FromRequestParts<S> for SteppedUp {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let SessionCaller(principal, session) = SessionCaller::from_request_parts(parts, state).await?;
        stepped_up(&principal, RequestInfo::of(parts)?.now())?;
        Ok(Self(principal, session))
    }
}

/// The same for a handler that asks it of some callers only.
///
/// # Errors
/// 401 `step_up_required`.
pub fn stepped_up(principal: &Principal, now: DateTime<Utc>) -> Result<(), Problem> {
    if now - principal.authenticated_at <= STEP_UP {
        return Ok(());
    }
    let detail = "this needs a fresh proof of who you are: POST /auth/step-up, or sign in again";
    let challenge = format!(
        "Bearer realm=\"halyard\", error=\"insufficient_user_authentication\", error_description=\"{detail}\", max_age={}",
        STEP_UP.num_seconds()
    );
    Err(Problem::new(StatusCode::UNAUTHORIZED, "step_up_required", detail).with_challenge(challenge))
}
