//! `POST /auth/login`

use axum::extract::State;
use halyard_auth::token::RefreshToken;
use halyard_domain::{SessionId, authz::Grants, session::Session, user::AccountStatus};
use halyard_http::{ApiResult, ClientAddress, Success, Throttle, Valid, Validate, Violations};
use halyard_store::users::{self, User};
use http::{HeaderMap, header};
use serde::Deserialize;

use crate::{
    error::AuthError,
    fields::{line, required},
    sign_in::{self, Tokens},
    state::AppState,
    view::UserView,
};

/// How a password alone is called (RFC 8176).
const BY_PASSWORD: &str = "pwd";
/// Characters of the User-Agent that a session keeps.
const DEVICE_LENGTH: usize = 200;

/// The body. `username` may be the e-mail address. Fields that are not known are ignored, as the original did.
#[derive(Deserialize)]
pub struct Request {
    username: Option<String>,
    password: Option<String>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        // Not the rules of registration: those may change under accounts that exist. Only bounds on the work.
        required(violations, "/username", self.username.as_deref(), |name| line(name, 120));
        required(violations, "/password", self.password.as_deref(), |password| line(password, 128));
    }
}

/// Opens a session. A wrong password, an unknown user and a disabled account get the same answer after the same time.
pub async fn handler(
    State(state): State<AppState>,
    ClientAddress(ip): ClientAddress,
    throttle: Throttle,
    headers: HeaderMap,
    Valid(body): Valid<Request>,
) -> ApiResult<Success<Tokens>> {
    let (name, password) = (body.username.unwrap_or_default(), body.password.unwrap_or_default());
    throttle.account(&name).await?;
    let answer = sign_in(&state, &name, &password, device(&headers), ip).await;
    if matches!(answer, Err(AuthError::BadCredentials)) {
        throttle.penalise(&name).await;
    }
    Ok(answer?)
}

async fn sign_in(
    state: &AppState,
    name: &str,
    password: &str,
    device: String,
    ip: String,
) -> Result<Success<Tokens>, AuthError> {
    let mut user = authenticate(state, name, password).await?;
    let now = state.clock.now();
    let (session, refresh) = open(state, &user, device, ip);
    // Before the answer, and before the login counts: a token whose session is not stored is worth nothing.
    state.sessions.create(&session).await?;
    let mut conn = state.pool.acquire().await?;
    users::record_login(&mut conn, user.id, Some(now)).await?;
    user.last_login = Some(now);
    user.login_count += 1;
    Ok(sign_in::answer(state, &session, &refresh, Some(UserView::from(&user)), now))
}

/// The user whose password this is.
async fn authenticate(state: &AppState, name: &str, password: &str) -> Result<User, AuthError> {
    // The connection goes back before the hash is computed: there are few of them, and hashing is slow.
    let found = users::by_login(&mut *state.pool.acquire().await?, name).await?;
    let stored = found.as_ref().map(|user| user.password_hash.as_str());
    let matches = state.hasher.verify(password, stored).await?;
    let user = found.filter(|user| matches && user.status == AccountStatus::Active).ok_or(AuthError::BadCredentials)?;
    if state.hasher.needs_rehash(&user.password_hash) {
        let hash = state.hasher.hash(password, &state.entropy).await?;
        let mut conn = state.pool.acquire().await?;
        users::replace_password_hash(&mut conn, user.id, &user.password_hash, &hash).await?;
    }
    Ok(user)
}

/// A new session of `user` and its first refresh token. Its epoch is the one that was read together with the password
/// hash: whoever raises it meanwhile (a changed password) ends this session too.
fn open(state: &AppState, user: &User, device: String, ip: String) -> (Session, RefreshToken) {
    let now = state.clock.now();
    let id = SessionId(state.entropy.ulid(now));
    let refresh = state.issuer.refresh.first(id, user.id, &state.entropy);
    let session = Session {
        id,
        user_id: user.id,
        username: user.username.clone(),
        role: user.role,
        permissions: Grants::of(user.role, &user.permissions),
        auth_epoch: user.auth_epoch,
        refresh_counter: refresh.counter,
        refresh_hash: refresh.hash(),
        device,
        ip,
        created_at: now,
        last_used_at: now,
        expires_at: now + state.issuer.refresh_ttl,
        authenticated_at: now,
        methods: vec![BY_PASSWORD.to_owned()],
        revoked_at: None,
    };
    (session, refresh)
}

fn device(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).map(|v| String::from_utf8_lossy(v.as_bytes())).unwrap_or_default();
    agent.chars().filter(|c| !c.is_control()).take(DEVICE_LENGTH).collect()
}
