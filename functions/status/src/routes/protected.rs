//! `GET /api/protected`: greets the caller.

use axum::extract::State;
use halyard_domain::{UserId, authz::Grants, user::Role};
use halyard_http::{Caller, Success, openapi::Operation, success};
use schemars::JsonSchema;
use serde::Serialize;

use crate::AppState;

#[derive(Serialize, JsonSchema)]
pub struct Response {
    message: String,
    user: User,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "GreetedUser")]
struct User {
    id: UserId,
    username: String,
    role: Role,
    permissions: Grants,
}

pub async fn handler(State(state): State<AppState>, Caller(caller): Caller) -> Success<Response> {
    state.heartbeat().await;
    let message = format!("Hello, {}!", caller.username);
    let user =
        User { id: caller.user_id, username: caller.username, role: caller.role, permissions: caller.permissions };
    success(Response { message, user })
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("greet", "Greet the caller").answers::<Response>("A greeting, and who the caller is.");
}
