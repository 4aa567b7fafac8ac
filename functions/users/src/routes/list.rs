//! `GET /api/users`

use axum::extract::State;
use halyard_domain::{
    UserId,
    user::{AccountStatus, Role},
};
use halyard_http::{
    ApiResult, AppQuery, Cursor, Items, PageQuery, Permitted, Success, UsersRead, openapi::Operation, success,
};
use halyard_store::users::{self, UserFilter};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    error::UsersError,
    list::{check_texts, page, wanted},
    state::AppState,
    view::UserView,
};

/// The filters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Request {
    /// A part of the user name, the address or the full name, without regard to case.
    #[schemars(length(min = 1, max = 120))]
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

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("listUsers", "All accounts, in the order of their numbers")
        .answers::<Items<UserView>>("A page of accounts.")
        .leads_to("getUser", "id", "/data/items/0/id");
}
