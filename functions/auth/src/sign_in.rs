//! What login and refresh have in common: the tokens of a session.

use chrono::{DateTime, Utc};
use halyard_auth::{
    SigningKey,
    token::{self, Grant, RefreshToken},
};
use halyard_domain::session::Session;
use halyard_http::{Success, openapi::Operation, success};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{error::AuthError, state::AppState, view::UserView};

/// `data` of login and refresh.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tokens {
    /// A JSON Web Token.
    access_token: String,
    /// Good for one refresh.
    refresh_token: String,
    token_type: &'static str,
    /// Seconds for which the access token is good.
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserView>,
    /// By which the device is known from now on: to be sent with the next login.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_token: Option<String>,
}

/// Signs with the key that is current by the present key set. Asked for before anything is changed: whoever cannot be
/// answered shall not have used up a refresh token.
pub async fn pen(state: &AppState) -> Result<&SigningKey, AuthError> {
    let set = state.verifier.keys().present().await?;
    state.issuer.signer(&set)
}

/// Issues an access token of `session`; answers with it and the seconds that it is good for.
pub fn access_token(state: &AppState, pen: &SigningKey, session: &Session, now: DateTime<Utc>) -> (String, i64) {
    let issuer = &state.issuer;
    // No token outlives its session.
    let ttl = issuer.access_ttl.min(session.expires_at - now);
    let grant = Grant {
        user_id: session.user_id,
        username: &session.username,
        role: session.role,
        permissions: &session.permissions,
        session_id: session.id,
        authenticated_at: session.authenticated_at,
        methods: &session.methods,
    };
    let (token, _) = token::issue(pen, &issuer.rules, ttl, &grant, now, &state.entropy);
    (token, ttl.num_seconds())
}

/// What login gives beside tokens.
pub struct SignedIn {
    /// The account.
    pub user: UserView,
    /// By which the device is known from now on.
    pub device_token: String,
}

/// Issues an access token of `session` and puts it together with the refresh token; repeated at top level, where the
/// original's clients read them.
pub fn answer(
    state: &AppState,
    pen: &SigningKey,
    session: &Session,
    refresh: &RefreshToken,
    signed_in: Option<SignedIn>,
    now: DateTime<Utc>,
) -> Success<Tokens> {
    let (access_token, expires_in) = access_token(state, pen, session, now);
    let refresh_token = refresh.to_text();
    let (user, device_token) = signed_in.map(|signed_in| (signed_in.user, signed_in.device_token)).unzip();
    success(Tokens {
        access_token: access_token.clone(),
        refresh_token: refresh_token.clone(),
        token_type: "Bearer",
        expires_in,
        user,
        device_token,
    })
    .top_level("access_token", access_token)
    .top_level("refresh_token", refresh_token)
    .top_level("token_type", "Bearer")
    .top_level("expires_in", expires_in)
}

/// The answer of login and refresh.
pub fn describe<'o, 'a>(op: &'o mut Operation<'a>) -> &'o mut Operation<'a> {
    op.answers::<Tokens>("The tokens of the session; at top level, the same for clients that read them there.")
        .beside::<String>("access_token")
        .beside::<String>("refresh_token")
        .beside::<String>("token_type")
        .beside::<i64>("expires_in")
}
