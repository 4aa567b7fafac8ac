//! From configuration to a function.

use std::sync::Arc;

use halyard_cloud::queue::QueueName;
use halyard_config::StatusConfig;
use halyard_domain::Lane;
use halyard_platform::{Function, Host, InitError, Node};

use crate::{
    router,
    state::{AppState, Parts},
};

/// Reads the configuration and opens what there is to open. A dependency that is down does not stop it.
///
/// # Errors
/// When the configuration is not usable.
pub async fn init(host: &Host) -> Result<Function, InitError> {
    let config: StatusConfig = host.config()?;
    let database = &config.database;
    let pool = halyard_store::connect(database.url.expose(), database.pool_size).map_err(InitError::other)?;
    if let Err(error) = pool.acquire().await {
        tracing::warn!(%error, "starting without the database");
    }
    let state = AppState::new(Parts {
        pool,
        pool_size: database.pool_size,
        redis: host.redis().await?,
        queue: host.queue().await?,
        probe: QueueName(config.queues.name(Lane::Default).to_owned()),
        node: Node::new(&config.common.node),
        environment: config.common.environment,
        version: config.common.node.version,
        started_at: host.started_at(),
        clock: Arc::clone(&host.clock),
    });
    Ok(Function::http(router(state, host.http_context().await?)))
}
