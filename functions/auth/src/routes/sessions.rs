//! `GET /auth/sessions`, `DELETE /auth/sessions/{id}`

use axum::extract::State;
use halyard_domain::{SessionId, UserId, session::Session};
use halyard_http::{ApiResult, AppPath, Items, SessionCaller, Success, openapi::Operation, success};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{error::AuthError, state::AppState, view::SessionView};

/// Lists the caller's live sessions, oldest first. There are few: one page.
pub async fn list(
    State(state): State<AppState>,
    SessionCaller(caller, current): SessionCaller,
) -> ApiResult<Success<Items<SessionView>>> {
    let sessions = live_sessions(&state, caller.user_id).await?;
    let items = sessions.into_iter().map(|session| SessionView::new(session, current)).collect();
    Ok(success(Items { items, next_cursor: None }))
}

/// `data` of DELETE.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EndedSession")]
pub struct Ended {
    session_id: SessionId,
}

/// Ends one of the caller's sessions; 404 for one that has ended, and for one of somebody else.
pub async fn end(
    State(state): State<AppState>,
    SessionCaller(caller, _): SessionCaller,
    AppPath(id): AppPath<SessionId>,
) -> ApiResult<Success<Ended>> {
    let ended = state.sessions.revoke(caller.user_id, id, state.clock.now()).await.map_err(AuthError::from)?;
    ended.ok_or(AuthError::NotFound("session"))?;
    Ok(success(Ended { session_id: id }))
}

/// For docs/openapi.json.
pub fn describe_list(op: &mut Operation<'_>) {
    op.named("listSessions", "The caller's sessions")
        .detail("Live ones only, the oldest first. There are few: one page.")
        .answers::<Items<SessionView>>("The sessions.")
        .leads_to("endSession", "id", "/data/items/0/id");
}

/// For docs/openapi.json.
pub fn describe_end(op: &mut Operation<'_>) {
    op.named("endSession", "End one of the caller's sessions").answers::<Ended>("The session has ended.");
}

/// The user's sessions that neither age nor revocation nor a higher epoch has ended.
pub async fn live_sessions(state: &AppState, user: UserId) -> Result<Vec<Session>, AuthError> {
    let now = state.clock.now();
    let (mut sessions, epoch) = tokio::try_join!(state.sessions.list(user, now), state.sessions.epoch(user))?;
    sessions.retain(|session| session.is_live(now, epoch));
    Ok(sessions)
}
