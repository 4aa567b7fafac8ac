//! From configuration to a function.

use std::{sync::Arc, time::Duration};

use halyard_cloud::{CallbackBell, objects::BucketName, table::TableName, task_logs::TaskLogs};
use halyard_config::WorkerConfig;
use halyard_domain::Lane;
use halyard_jobs::{
    Registry, Tools,
    doorbell::LaneQueues,
    worker::{LaneLimit, LaneLimits, Results, Statements, Worker},
};
use halyard_platform::{Function, Host, InitError};
use halyard_webhook::GuardedClient;

use crate::{functions::LambdaTool, handler::WorkerFunction, node::WorkerNode, web::GuardedWeb};

/// Once a second, and early enough for the renewal, what it says, and the end that follows to be over within that second: a task that
/// is cancelled ends within 1 s of the request. A lease that is short is renewed more often.
const RENEW_EVERY: Duration = Duration::from_millis(900);

/// Reads the configuration and opens what there is to open. A dependency that is down does not stop it.
///
/// # Errors
/// When the configuration is not usable.
pub async fn init(host: &Host) -> Result<Function, InitError> {
    init_with(host, |types| types).await
}

/// Likewise, with other types of tasks than those that Halyard ships, or more of them.
///
/// # Errors
/// When the configuration is not usable.
pub async fn init_with(host: &Host, types: impl FnOnce(Registry) -> Registry) -> Result<Function, InitError> {
    let config: WorkerConfig = host.config()?;
    let pool = halyard_store::connect(config.database.url.expose(), config.database.pool_size)
        .map_err(|error| InitError::other(format!("DATABASE_URL: {error}")))?;
    if let Err(error) = pool.acquire().await {
        tracing::warn!(%error, "starting without the database");
    }
    let most = Lane::ALL.map(|lane| config.lanes.of(lane).side_by_side).into_iter().max().unwrap_or_default();
    let node = WorkerNode::new(&config.common.node, most, &host.entropy);
    let client = GuardedClient::new(config.outbound.allowed);
    let callable = config.callable.functions;
    let lambda = if callable.is_empty() { None } else { host.lambda()? };
    let tools = Tools {
        web: Some(Arc::new(GuardedWeb(client))),
        database: Some(pool.clone()),
        functions: lambda.map(|client| Arc::new(LambdaTool { client, clock: Arc::clone(&host.clock) }) as _),
        callable,
    };
    let worker = Worker {
        statements: Statements::new(&pool),
        pool,
        queue: host.queue().await?,
        queues: LaneQueues::from_urls(Lane::ALL.map(|lane| (lane, config.queues.url(lane)))),
        callbacks: CallbackBell::new(host.queue().await?, &config.callbacks.url),
        logs: TaskLogs::new(host.table().await?, TableName(config.tables.task_logs)),
        results: Results { objects: host.objects().await?, bucket: BucketName(config.objects.results) },
        registry: types(Registry::with_tools(&tools)),
        clock: Arc::clone(&host.clock),
        entropy: Arc::clone(&host.entropy),
        lease: config.lease.length,
        limits: LaneLimits::new(|lane| {
            let of = config.lanes.of(lane);
            LaneLimit { side_by_side: of.side_by_side, margin: of.margin }
        }),
        renew_every: RENEW_EVERY.min(config.lease.length / 3),
        id: node.id().to_owned(),
        host: node.hostname().to_owned(),
    };
    Ok(Function::Sqs(Box::new(WorkerFunction::new(worker, node))))
}
