//! `POST /auth/2fa/confirm`

use axum::extract::State;
use halyard_auth::otp::Typed;
use halyard_domain::UserId;
use halyard_http::{
    ApiResult, RequestInfo, SteppedUp, Success, Valid, Validate, Violations, openapi::Operation, success,
};
use halyard_store::second_factors::{self, Confirmation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::new_codes;
use crate::{
    error::AuthError,
    fields::{line, required, schema},
    routes::sessions::live_sessions,
    second_factor::{self, BY_OTP},
    session_change,
    state::AppState,
};

/// The body.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schemars(with = "schema::Line<64>")]
    otp: Option<String>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        required(violations, "/otp", self.otp.as_deref(), |otp| line(otp, 64));
    }
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SecondFactorConfirmed")]
pub struct Confirmed {
    /// Shown this once.
    recovery_codes: Vec<String>,
    /// `null` when it is not confirmed yet that they have.
    sessions_ended: Option<usize>,
}

/// Asks for a code to see that the authenticator works; from then on it is asked for at each sign-in. Ends the caller's
/// other sessions, which were opened without it.
pub async fn handler(
    State(state): State<AppState>,
    SteppedUp(caller, session): SteppedUp,
    info: RequestInfo,
    Valid(body): Valid<Request>,
) -> ApiResult<Success<Confirmed>> {
    let others = live_sessions(&state, caller.user_id).await?.iter().filter(|other| other.id != session).count();
    let (codes, epoch) = commit(&state, caller.user_id, &body.otp.unwrap_or_default(), &info).await?;
    let told = session_change::end_others(&state, caller.user_id, session, epoch, |session, now| {
        session.authenticated_at = now;
        session.methods.retain(|method| method != BY_OTP);
        session.methods.push(BY_OTP.to_owned());
    });
    let told = told.await;
    if let Err(error) = &told {
        // The codes are shown this once: the caller gets them, and beat publishes the epoch.
        tracing::warn!(%error, user_id = caller.user_id.0, "sessions opened without the second factor end later");
    }
    Ok(success(Confirmed { recovery_codes: codes, sessions_ended: told.is_ok().then_some(others) }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("confirmSecondFactor", "Turn the second factor on")
        .detail("From then on a code is asked for at each sign-in. Ends the caller's other sessions.")
        .answers::<Confirmed>("It is on. The recovery codes are shown this once.")
        .problem(409, "two_factor_enabled", "there is one already")
        .problem(409, "two_factor_missing", "none was set up")
        .problem(429, "too_many_failures", "no attempt counts for a while")
        .example(json!({"otp": "123456"}));
}

async fn commit(
    state: &AppState,
    user: UserId,
    typed: &str,
    info: &RequestInfo,
) -> Result<(Vec<String>, i64), AuthError> {
    let mut conn = state.pool.acquire().await?;
    let factor = second_factors::of(&mut conn, user).await?.ok_or(AuthError::NoSecondFactor("confirm"))?;
    if factor.confirmed_at.is_some() {
        return Err(AuthError::HasSecondFactor);
    }
    let shown = async {
        let step = match Typed::parse(typed) {
            Some(Typed::Code(code)) => second_factor::secret(state, user, &factor)?.step_of(&code, state.clock.now()),
            _ => None,
        };
        step.ok_or(AuthError::WrongField("/otp"))
    };
    let step = state.gate.prove(user, true, &*state.clock, shown).await?;
    let (codes, kept) = new_codes(&state.entropy);
    let confirmation = Confirmation { user, secret: &factor.secret, step, recovery_codes: &kept };
    let (target, request_id) = (format!("user:{user}"), info.request_id().to_string());
    let entry = second_factor::entry(user, "two_factor.enable", &target, &request_id, info);
    let epoch = second_factors::confirm(&mut conn, &confirmation, &entry, state.clock.database_override()).await?;
    Ok((codes, epoch.ok_or(AuthError::NoSecondFactor("confirm"))?))
}
