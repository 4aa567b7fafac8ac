//! From configuration to a function.

use std::sync::Arc;

use halyard_config::UsersConfig;
use halyard_platform::{Function, Host, InitError};

use crate::{
    router,
    state::{AppState, Parts},
};

/// Reads the configuration and opens what there is to open. A dependency that is down does not stop it.
///
/// # Errors
/// When the configuration is not usable.
pub async fn init(host: &Host) -> Result<Function, InitError> {
    let config: UsersConfig = host.config()?;
    let pool = halyard_store::connect(config.database.url.expose(), config.database.pool_size)
        .map_err(|error| InitError::other(format!("DATABASE_URL: {error}")))?;
    if let Err(error) = pool.acquire().await {
        tracing::warn!(%error, "starting without the database");
    }
    let state = AppState::new(Parts {
        pool,
        sessions: host.sessions(config.session_cache.bound).await?,
        clock: Arc::clone(&host.clock),
    });
    Ok(Function::Http(router(state, host.http_context().await?)))
}
