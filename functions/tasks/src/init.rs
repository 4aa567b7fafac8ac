//! From configuration to a function.

use std::sync::Arc;

use halyard_cloud::{CallbackBell, objects::BucketName, table::TableName, task_logs::TaskLogs};
use halyard_config::TasksConfig;
use halyard_domain::Lane;
use halyard_jobs::{TaskTypes, Tools, doorbell::LaneQueues};
use halyard_platform::{Function, Host, InitError};
use halyard_store::tasks::Intake;

use crate::{
    gate::Gate,
    router,
    state::{AppState, Parts},
};

/// Reads the configuration and opens what there is to open. A dependency that is down does not stop it.
///
/// # Errors
/// When the configuration is not usable.
pub async fn init(host: &Host) -> Result<Function, InitError> {
    let config: TasksConfig = host.config()?;
    let pool = halyard_store::connect(config.database.url.expose(), config.database.pool_size)
        .map_err(|error| InitError::other(format!("DATABASE_URL: {error}")))?;
    if let Err(error) = pool.acquire().await {
        tracing::warn!(%error, "starting without the database");
    }
    let state = AppState::new(Parts {
        intake: Intake::new(pool.clone()),
        gate: Gate::new(config.waiting),
        pool,
        queue: host.queue().await?,
        queues: LaneQueues::from_urls(Lane::ALL.map(|lane| (lane, config.queues.url(lane)))),
        callbacks: CallbackBell::new(host.queue().await?, &config.callbacks.url),
        allowed: config.outbound.allowed,
        logs: TaskLogs::new(host.table().await?, TableName(config.tables.task_logs)),
        objects: host.objects().await?,
        results: BucketName(config.objects.results),
        registry: TaskTypes::shipped(&Tools { callable: config.callable.functions, ..Tools::default() }),
        clock: Arc::clone(&host.clock),
        entropy: Arc::clone(&host.entropy),
    });
    Ok(Function::Http(router(state, host.keyed_http_context().await?)))
}
