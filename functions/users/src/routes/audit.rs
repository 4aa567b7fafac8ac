//! `GET /api/audit`

use axum::extract::State;
use chrono::{DateTime, Utc};
use halyard_domain::UserId;
use halyard_http::{ApiResult, AppQuery, Cursor, Items, PageQuery, Permitted, Success, SystemManage, success};
use halyard_store::audit::{self, Filter};
use serde::Deserialize;

use crate::{
    error::UsersError,
    list::{check_texts, check_times, page, wanted},
    state::AppState,
    view::EntryView,
};

/// The filters.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// A user's number.
    actor: Option<UserId>,
    /// `user.update`.
    action: Option<String>,
    /// `user:7`.
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
