//! `GET /api/users`

use axum::extract::State;
use halyard_domain::{
    UserId,
    user::{AccountStatus, Role},
};
use halyard_http::{ApiResult, AppQuery, Cursor, Items, PageQuery, Permitted, Success, UsersRead, success};
use halyard_store::users::{self, UserFilter};
use serde::Deserialize;

use crate::{
    error::UsersError,
    list::{check_texts, page, wanted},
    state::AppState,
    view::UserView,
};

/// The filters.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// A part of the user name, the address or the full name, without regard to case.
    q: Option<String>,
    role: Option<Role>,
    status: Option<AccountStatus>,
}

/// All accounts, in the order of their numbers.
pub async fn handler(
    State(state): State<AppState>,
    _: Permitted<UsersRead>,
    query: PageQuery,
    AppQuery(filter): AppQuery<Request>,
) -> ApiResult<Success<Items<UserView>>> {
    check_texts(&[("/q", filter.q.as_ref())])?;
    let after = query.cursor.as_ref().map(Cursor::decode::<i64>).transpose()?.map(UserId);
    let filter = UserFilter { text: filter.q, role: filter.role, status: filter.status };
    let found = async { users::list(&mut *state.pool.acquire().await?, &filter, after, wanted(&query)).await };
    let found = found.await.map_err(UsersError::from)?;
    Ok(success(page(found, &query, |user| user.id)))
}
