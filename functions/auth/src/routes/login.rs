//! `POST /auth/login`

use axum::extract::State;
use halyard_auth::token::RefreshToken;
use halyard_cloud::redis::{Charged, SignIn};
use halyard_domain::{SessionId, authz::Grants, session::Session, user::AccountStatus};
use halyard_http::{ApiResult, RequestInfo, Success, Throttle, Valid, Validate, Violations, openapi::Operation};
use halyard_store::users::{self, User};
use http::{HeaderMap, header};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{
    audited,
    error::AuthError,
    fields::{line, required, schema},
    gate,
    second_factor::{self, BY_OTP},
    sign_in::{self, SignedIn, Tokens},
    state::AppState,
    view::UserView,
};

/// How a password alone is called (RFC 8176).
pub const BY_PASSWORD: &str = "pwd";
/// Characters of the User-Agent that a session keeps.
const DEVICE_LENGTH: usize = 200;
/// Of so many failures in a row one is kept for the audit.
const AUDITED: u32 = 10;

/// The body. `username` may be the e-mail address. Fields that are not known are ignored, as the original did.
#[derive(Deserialize, JsonSchema)]
pub struct Request {
    #[schemars(with = "schema::Line<120>")]
    username: Option<String>,
    #[schemars(with = "schema::Line<128>")]
    password: Option<String>,
    /// Of the authenticator, or a recovery code; where the account has a second factor.
    #[schemars(with = "Option<schema::Line<64>>")]
    otp: Option<String>,
    /// What the last login on this device gave: failures of strangers do not count against it.
    device_token: Option<String>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        // Not the rules of registration: those may change under accounts that exist. Only bounds on the work.
        required(violations, "/username", self.username.as_deref(), |name| line(name, 120));
        required(violations, "/password", self.password.as_deref(), |password| line(password, 128));
        violations.rule("/otp", self.otp.as_deref().map_or(Ok(()), |otp| line(otp, 64)));
    }
}

/// Opens a session. A wrong password, an unknown user and a disabled account get the same answer after the same time.
pub async fn handler(
    State(state): State<AppState>,
    info: RequestInfo,
    throttle: Throttle,
    headers: HeaderMap,
    Valid(body): Valid<Request>,
) -> ApiResult<Success<Tokens>> {
    let name = body.username.as_deref().unwrap_or_default();
    throttle.account(name).await?;
    // The connection goes back before the hash is computed: there are few of them, and hashing is slow.
    let found = async { users::by_login(&mut *state.pool.acquire().await?, name).await };
    let found = found.await.map_err(AuthError::from)?;
    let (who, mut failures) = (sign_in_of(&state, found.as_ref(), &body, &info), Failures::default());
    let attempt = |charged: Charged| {
        failures = Failures { in_a_row: charged.failures, known: charged.known };
        Box::pin(sign_in(&state, found, charged.known, &body, device(&headers), &info))
    };
    let answer = state.gate.sign_in(who, &*state.clock, attempt).await;
    if matches!(answer, Err(AuthError::BadCredentials | AuthError::WrongOtp)) {
        throttle.penalise(name).await;
        note_failures(&state, name, &failures, &info).await;
    }
    Ok(answer?)
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("login", "Open a session")
        .detail("`username` may be the e-mail address. A failure counts twice towards the limit.")
        .detail("A wrong password, an unknown user and a disabled account get the same answer after the same time.");
    sign_in::describe(op)
        .problem(401, "invalid_credentials", "user name or password are wrong")
        .problem(401, "otp_required", "the password is right; the account asks for `otp` as well")
        .problem(401, "invalid_otp", "the one-time password is wrong, or was used before")
        .problem(429, "too_many_failures", "no attempt counts for a while")
        .problem(503, "unavailable", "something that sign-in needs is down, or too many sign in at once")
        .example(json!({"username": "ada", "password": "correct horse battery"}));
}

/// What the gate knows of failures before this one.
#[derive(Default)]
struct Failures {
    in_a_row: u32,
    known: bool,
}

/// Who tries, as the gate tells them apart.
fn sign_in_of(state: &AppState, found: Option<&User>, body: &Request, info: &RequestInfo) -> SignIn {
    let name = body.username.as_deref().unwrap_or_default();
    let device = found.zip(body.device_token.as_deref());
    let device = device.and_then(|(user, token)| state.account_key.device(user.id, token));
    SignIn {
        account: name.chars().take(120).flat_map(char::to_lowercase).collect(),
        address: gate::network(info.address().unwrap_or_default()),
        device: device.map(|id| id.to_string()),
    }
}

async fn sign_in(
    state: &AppState,
    found: Option<User>,
    known: bool,
    body: &Request,
    device: String,
    info: &RequestInfo,
) -> Result<Success<Tokens>, AuthError> {
    let mut user = authenticate(state, found, body.password.as_deref().unwrap_or_default()).await?;
    let mut methods = vec![BY_PASSWORD.to_owned()];
    if user.two_factor_enabled {
        second_factor(state, &user, known, body.otp.as_deref(), info).await?;
        methods.push(BY_OTP.to_owned());
    }
    let pen = sign_in::pen(state).await?;
    let now = state.clock.now();
    let (session, refresh) = open(state, &user, methods, device, info);
    // Before the answer, and before the login counts: a token whose session is not stored is worth nothing.
    state.sessions.create(&session).await?;
    let mut conn = state.pool.acquire().await?;
    users::record_login(&mut conn, user.id, Some(now)).await?;
    user.last_login = Some(now);
    user.login_count += 1;
    let shown = body.device_token.as_deref().filter(|token| state.account_key.device(user.id, token).is_some());
    let device_token = shown.map_or_else(|| state.account_key.device_token(user.id, &state.entropy), str::to_owned);
    let signed_in = SignedIn { user: UserView::from(&user), device_token };
    Ok(sign_in::answer(state, pen, &session, &refresh, Some(signed_in), now))
}

/// The user, if the password is theirs and they may come in.
async fn authenticate(state: &AppState, found: Option<User>, password: &str) -> Result<User, AuthError> {
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

/// Asks for the one-time password. Failures have a tally of their own: whoever knows the password has got past the first.
async fn second_factor(
    state: &AppState,
    user: &User,
    known: bool,
    typed: Option<&str>,
    info: &RequestInfo,
) -> Result<(), AuthError> {
    let typed = typed.ok_or(AuthError::OtpRequired)?;
    let shown = Box::pin(async {
        let right = second_factor::check(state, user.id, typed, info).await?;
        right.then_some(()).ok_or(AuthError::WrongOtp)
    });
    state.gate.prove(user.id, known, &*state.clock, shown).await
}

/// Keeps every tenth failure in a row for the audit, whether there is such an account or not: the time that it takes must
/// not tell.
async fn note_failures(state: &AppState, name: &str, failures: &Failures, info: &RequestInfo) {
    if failures.in_a_row == 0 || !failures.in_a_row.is_multiple_of(AUDITED) {
        return;
    }
    let name: String = name.chars().take(120).collect();
    tracing::warn!(failures = failures.in_a_row, address = info.address(), "sign-ins to one account keep failing");
    let detail = json!({"failures": failures.in_a_row, "known": failures.known, "address": info.address()});
    audited::keep(state, "login.failures", &format!("login:{name}"), detail, info).await;
}

/// A new session of `user` and its first refresh token. Its epoch is the one that was read together with the password
/// hash: whoever raises it meanwhile (a changed password) ends this session too.
fn open(
    state: &AppState,
    user: &User,
    methods: Vec<String>,
    device: String,
    info: &RequestInfo,
) -> (Session, RefreshToken) {
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
        ip: info.address().unwrap_or_default().to_owned(),
        created_at: now,
        last_used_at: now,
        expires_at: now + state.issuer.refresh_ttl,
        authenticated_at: now,
        methods,
        revoked_at: None,
    };
    (session, refresh)
}

fn device(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).map(|v| String::from_utf8_lossy(v.as_bytes())).unwrap_or_default();
    agent.chars().filter(|c| !c.is_control()).take(DEVICE_LENGTH).collect()
}
