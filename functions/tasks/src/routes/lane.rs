//! What changes a lane has in common.

use halyard_domain::Lane;
use halyard_http::{Permitted, RequestInfo, SystemManage};
use halyard_store::{Connection, Now, StoreError, audit};
use serde_json::json;

use super::database;
use crate::{error::TaskError, state::AppState};

/// Changes the lane of that name by `call`, which keeps the entry it is given in the audit log.
pub async fn change<T>(
    state: &AppState,
    caller: &Permitted<SystemManage>,
    info: &RequestInfo,
    name: &str,
    action: &str,
    call: impl AsyncFnOnce(&mut Connection, Lane, &audit::Entry<'_>, Now) -> Result<T, StoreError>,
) -> Result<(Lane, T), TaskError> {
    let lane: Lane = name.parse().map_err(|_| TaskError::NoSuchLane)?;
    let now = state.clock.database_override();
    let entry = audit::Entry {
        actor: Some(caller.user_id),
        action,
        target: &format!("lane:{lane}"),
        detail: json!({"address": info.address()}),
        request_id: Some(&info.request_id().to_string()),
    };
    let done = database(state, async |conn| call(conn, lane, &entry, now).await).await?;
    Ok((lane, done))
}
