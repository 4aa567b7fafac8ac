//! `GET /api/users/{id}`

use axum::{extract::State, response::IntoResponse};
use halyard_domain::UserId;
use halyard_http::{ApiResult, AppPath, Permitted, UsersRead, if_match, openapi::Operation, success};
use halyard_store::users::{self, User};
use http::header;

use crate::{error::UsersError, state::AppState, view::UserView};

/// One account.
pub async fn handler(
    State(state): State<AppState>,
    _: Permitted<UsersRead>,
    AppPath(id): AppPath<UserId>,
) -> ApiResult<impl IntoResponse> {
    let found = async { users::by_id(&mut *state.pool.acquire().await?, id).await };
    let user = found.await.map_err(UsersError::from)?.ok_or(UsersError::NotFound)?;
    Ok(answer(user))
}

/// The account and its entity tag.
pub(super) fn answer(user: User) -> impl IntoResponse + use<> {
    ([(header::ETAG, if_match::tag(user.version))], success(UserView::from(user)))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("getUser", "One account").answers::<UserView>("The account.").header("ETag", TAG);
}

/// What the entity tag is for.
pub(super) const TAG: &str = "Stands for what PATCH can change: send it as `If-Match`.";
