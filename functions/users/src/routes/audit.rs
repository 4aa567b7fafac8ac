//! `GET /api/audit`

use axum::extract::State;
use chrono::{DateTime, Utc};
use halyard_domain::UserId;
use halyard_http::{
    ApiResult, AppQuery, Cursor, Items, PageQuery, Permitted, Success, SystemManage, openapi::Operation, success,
};
use halyard_store::audit::{self, Filter};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    error::UsersError,
    list::{check_texts, check_times, page, wanted},
    state::AppState,
    view::EntryView,
};

/// The filters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Request {
    /// A user's number.
    actor: Option<UserId>,
    /// As in the entries: `user.update`.
    #[schemars(length(min = 1, max = 120))]
    action: Option<String>,
    /// As in the entries: `user:7`.
    #[schemars(length(min = 1, max = 120))]
    target: Option<String>,
    /// Not before.
    since: Option<DateTime<Utc>>,
    /// Before.
    until: Option<DateTime<Utc>>,
}

/// What was done by whom, newest first.
pub async fn handler(
    State(state): State<AppState>,
    _: Permitted<SystemManage>,
    query: PageQuery,
    AppQuery(filter): AppQuery<Request>,
) -> ApiResult<Success<Items<EntryView>>> {
    check_texts(&[("/action", filter.action.as_ref()), ("/target", filter.target.as_ref())])?;
    check_times(&[("/since", filter.since), ("/until", filter.until)])?;
    let before = query.cursor.as_ref().map(Cursor::decode::<i64>).transpose()?;
    let Request { actor, action, target, since, until } = filter;
    let filter = Filter { actor, action, target, since, until };
    let found = async { audit::list(&mut *state.pool.acquire().await?, &filter, before, wanted(&query)).await };
    let found = found.await.map_err(UsersError::from)?;
    Ok(success(page(found, &query, |kept| kept.id)))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("listAudit", "What was done by whom, newest first")
        .detail("Nothing is ever changed or taken out of it; every entry covers the one before with its `hash`.")
        .answers::<Items<EntryView>>("A page of entries.");
}
