//! `PATCH /api/users/{id}`

mod body;

use axum::{extract::State, response::IntoResponse};
use halyard_auth::{Credential, Principal};
use halyard_domain::{
    UserId,
    rights::{Allowed, Rights, judge},
    user::AccountStatus,
};
use halyard_http::{
    ApiResult, AppPath, Permitted, RequestInfo, UsersWrite, Valid,
    if_match::{self, Condition},
    openapi::Operation,
};
use halyard_store::{
    audit, auth_epochs,
    users::{self, NewRights, Outcome, User},
};
use http::HeaderMap;
use serde_json::{Value, json};

use super::get::{TAG, answer};
use crate::{error::UsersError, state::AppState, view::UserView};
pub use body::Request;

/// How often a change without `If-Match` that met another one is judged anew.
const ATTEMPTS: usize = 4;

/// Changes what an account may do, and ends its sessions, whose tokens say what it could do before. A change that changes
/// nothing ends nothing.
pub async fn handler(
    State(state): State<AppState>,
    caller: Permitted<UsersWrite>,
    AppPath(id): AppPath<UserId>,
    headers: HeaderMap,
    info: RequestInfo,
    Valid(body): Valid<Request>,
) -> ApiResult<impl IntoResponse> {
    Ok(answer(change(&state, &caller, id, body, &if_match::read(&headers), &info).await?))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("changeUser", "Change what an account may do")
        .detail(
            "What is absent stays; null takes the personal permissions away. A change ends the account's sessions, whose tokens \
             say what it could do before. Nobody grants, or changes an account that holds, what they do not hold themselves.",
        )
        .reads_header("If-Match", "Change it only if it has this `ETag` still.", &json!({"type": "string"}))
        .answers::<UserView>("The account after the change.")
        .header("ETag", TAG)
        .problem(403, "own_account", "nobody changes the rights of their own account")
        .problem(403, "exceeds_own_rights", "the account holds, or would hold, what the caller does not")
        .problem(409, "last_admin", "no active administrator would be left")
        .problem(412, "precondition_failed", "somebody changed it since: read it again")
        .example(json!({"role": "operator", "permissions": ["users:write"], "account_status": "active"}));
}

async fn change(
    state: &AppState,
    caller: &Principal,
    id: UserId,
    body: Request,
    condition: &Condition,
    info: &RequestInfo,
) -> Result<User, UsersError> {
    let change = body.into_change();
    for _ in 0..ATTEMPTS {
        let (by, user) = read(state, caller.user_id, id).await?;
        let before = user.rights();
        let after = before.after(&change);
        // What the caller's token says was true when it was issued; what their account says is true now.
        let holds = [&caller.permissions, &by.rights().grants()];
        let allowed = judge(holds, by.id == user.id, &before, &after).map_err(UsersError::Refused)?;
        if !condition.holds(user.version) {
            return Err(UsersError::VersionMismatch);
        }
        if allowed == Allowed::Nothing {
            tell_if_owed(state, &user).await?;
            return Ok(user);
        }
        let new = NewRights {
            user: user.id,
            version: user.version,
            by: by.id,
            by_version: by.version,
            rights: &after,
            removes_admin: allowed == Allowed::RemovesAdmin,
        };
        match commit(state, caller, &new, &before, info).await? {
            Outcome::Changed { version, auth_epoch, at } => {
                let Rights { role, permissions, status } = after;
                let user = User { role, permissions, status, version, auth_epoch, updated_at: at, ..user };
                tell(state, &user).await?;
                return Ok(user);
            }
            Outcome::LastAdmin => return Err(UsersError::LastAdmin),
            Outcome::Stale => {}
        }
    }
    Err(UsersError::Contended)
}

/// The caller's account, which must be active, and the one to change, as they are at one moment.
async fn read(state: &AppState, caller: UserId, id: UserId) -> Result<(User, User), UsersError> {
    let found = users::by_ids(&mut *state.pool.acquire().await?, &[caller, id]).await?;
    let find = |id: UserId| found.iter().find(|user| user.id == id).cloned();
    let by = find(caller).filter(|by| by.status == AccountStatus::Active).ok_or(UsersError::CallerGone)?;
    Ok((by, find(id).ok_or(UsersError::NotFound)?))
}

async fn commit(
    state: &AppState,
    caller: &Principal,
    new: &NewRights<'_>,
    before: &Rights,
    info: &RequestInfo,
) -> Result<Outcome, UsersError> {
    let credential = match &caller.credential {
        Credential::Session { id, .. } => json!(id),
        Credential::ApiKey { id } => json!(id),
    };
    let entry = audit::Entry {
        actor: Some(caller.user_id),
        action: "user.update",
        target: &format!("user:{}", new.user),
        detail: json!({
            "before": shown(before),
            "after": shown(new.rights),
            "credential": credential,
            "address": info.address(),
        }),
        request_id: Some(&info.request_id().to_string()),
    };
    let mut conn = state.pool.acquire().await?;
    Ok(users::change_rights(&mut conn, new, &entry, state.clock.database_override()).await?)
}

fn shown(rights: &Rights) -> Value {
    json!({
        "role": rights.role,
        "permissions": rights.permissions,
        "account_status": rights.status,
    })
}

/// Tells where sessions and API keys are verified what the account is from now on.
async fn tell(state: &AppState, user: &User) -> Result<(), UsersError> {
    let telling = state.sessions.publish_epoch(user.id, user.auth_epoch, Ok(user.as_owner()), state.clock.now());
    auth_epochs::tell(&state.pool, user.id, user.auth_epoch, telling).await
}

/// Whoever repeats a change that was answered with 503 is told 200 only once its sessions have ended, too.
async fn tell_if_owed(state: &AppState, user: &User) -> Result<(), UsersError> {
    let owed = auth_epochs::owed_for(&mut *state.pool.acquire().await?, user.id).await?;
    if owed.is_some() { tell(state, user).await } else { Ok(()) }
}
