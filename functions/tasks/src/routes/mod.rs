//! One endpoint a file.

pub mod batch;
pub mod cancel;
pub mod chain;
pub mod list;
pub mod logs;
pub mod pause;
pub mod queues;
pub mod result;
pub mod resume;
pub mod schedules;
pub mod stats;
pub mod status;
pub mod submit;
pub mod types;
pub mod workflows;

use halyard_store::{Connection, StoreError};

use crate::state::AppState;

/// The longest that the database may take over one request.
const DATABASE: std::time::Duration = std::time::Duration::from_secs(5);

/// Calls the database, within [`DATABASE`].
pub async fn database<T>(
    state: &AppState,
    call: impl AsyncFnOnce(&mut Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    halyard_store::within(DATABASE, async {
        let mut conn = state.pool.acquire().await?;
        call(&mut conn).await
    })
    .await
}
