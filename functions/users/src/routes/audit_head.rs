//! `GET /api/audit/head`

use axum::extract::State;
use halyard_domain::audit::Link;
use halyard_http::{ApiResult, Permitted, Success, SystemManage, openapi::Operation, success};
use halyard_store::audit;
use schemars::JsonSchema;
use serde::Serialize;

use super::audit_verify::LinkView;
use crate::{error::UsersError, state::AppState};

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Response {
    /// Null when somebody has taken it away.
    head: Option<LinkView>,
}

/// Where the audit log ends: kept elsewhere, it shows later whether what was there then is still there.
pub async fn handler(State(state): State<AppState>, _: Permitted<SystemManage>) -> ApiResult<Success<Response>> {
    let head = async { audit::head(&mut *state.pool.acquire().await?).await };
    let head: Option<Link> = head.await.map_err(UsersError::from)?;
    Ok(success(Response { head: head.as_ref().map(LinkView::from) }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("getAuditHead", "Where the audit log ends")
        .detail("Kept elsewhere, its `cursor` shows later whether what was there then is still there.")
        .answers::<Response>("The end of the chain.")
        .leads_to("verifyAudit", "cursor", "/data/head/cursor");
}
