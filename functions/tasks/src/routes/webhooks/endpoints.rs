//! `GET /tasks/webhooks/endpoints`

use axum::{extract::State, response::IntoResponse};
use chrono::{DateTime, Utc};
use halyard_domain::{UserId, authz::Permission};
use halyard_http::{ApiResult, Caller, Cursor, Items, PageQuery, openapi::Operation, success};
use halyard_store::webhooks::{self, Endpoint};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    error::TaskError,
    routes::database,
    state::{AppState, scope},
};

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookEndpoint")]
struct Item {
    user_id: i64,
    url: String,
    enabled: bool,
    disabled_at: Option<DateTime<Utc>>,
    /// `gone`: it answered 410. `failing`: nothing succeeded for three days.
    disabled_reason: Option<String>,
    failing_since: Option<DateTime<Utc>>,
    /// Since the last success.
    failures: i32,
    /// To a minute.
    last_success_at: Option<DateTime<Utc>>,
    last_failure_at: Option<DateTime<Utc>>,
}

/// The URLs that webhooks of the caller went to; those of all with `tasks:read_all`.
pub async fn handler(
    State(state): State<AppState>,
    Caller(caller): Caller,
    page: PageQuery,
) -> ApiResult<impl IntoResponse> {
    let cursor = page.cursor.as_ref().map(Cursor::decode::<Place>).transpose()?;
    let after = cursor.map(|place| (UserId(place.0), place.1));
    let scope = scope(&caller, Permission::TasksReadAll);
    let wanted = i64::from(page.limit) + 1;
    let found = database(&state, async |conn| webhooks::endpoints(conn, scope, after, wanted).await).await;
    let mut found = found.map_err(TaskError::from)?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|e| Cursor::encode(&format!("{} {}", e.user_id, e.url)));
    let item = |e: Endpoint| Item {
        user_id: e.user_id,
        url: e.url,
        enabled: e.disabled_at.is_none(),
        disabled_at: e.disabled_at,
        disabled_reason: e.disabled_reason,
        failing_since: e.failing_since,
        failures: e.failures,
        last_success_at: e.last_success_at,
        last_failure_at: e.last_failure_at,
    };
    Ok(success(Items { items: found.into_iter().map(item).collect::<Vec<_>>(), next_cursor }))
}

/// Where a page ends.
struct Place(i64, String);

impl std::str::FromStr for Place {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (user, url) = text.split_once(' ').ok_or(())?;
        // PostgreSQL's text holds no NUL.
        if url.contains('\0') { Err(()) } else { Ok(Self(user.parse().map_err(drop)?, url.to_owned())) }
    }
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("listWebhookEndpoints", "URLs that webhooks went to")
        .detail(
            "One that answers 410, or nothing but failures for three days (20 at least), is disabled: webhooks for it are \
             skipped until it is enabled.",
        )
        .answers::<Items<Item>>("A page of endpoints.");
}
