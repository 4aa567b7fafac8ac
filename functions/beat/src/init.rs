//! From configuration to a function.

use std::sync::Arc;

use halyard_cloud::CallbackBell;
use halyard_config::BeatConfig;
use halyard_domain::Lane;
use halyard_jobs::doorbell::LaneQueues;
use halyard_mail::PostOffice;
use halyard_platform::{Function, Host, InitError, Node};

use crate::handler::Beat;

/// Reads the configuration and opens what there is to open. A dependency that is down does not stop it.
///
/// # Errors
/// When the configuration is not usable.
pub async fn init(host: &Host) -> Result<Function, InitError> {
    let config: BeatConfig = host.config()?;
    let pool = halyard_store::connect(config.database.url.expose(), config.database.pool_size)
        .map_err(|error| InitError::other(format!("DATABASE_URL: {error}")))?;
    if let Err(error) = pool.acquire().await {
        tracing::warn!(%error, "starting without the database");
    }
    Ok(Function::Plain(Box::new(Beat {
        pool,
        sessions: host.sessions(config.session_cache.bound).await?,
        redis: host.redis().await?,
        queue: host.queue().await?,
        queues: LaneQueues::from_urls(Lane::ALL.map(|lane| (lane, config.queues.url(lane)))),
        callbacks: CallbackBell::new(host.queue().await?, &config.callbacks.url),
        post: PostOffice::new(halyard_mail::Parts {
            mailer: host.mailer(&config.mail)?,
            from: config.mail.from,
            public_url: config.mail.public_url,
            entropy: Arc::clone(&host.entropy),
        }),
        clock: Arc::clone(&host.clock),
        entropy: Arc::clone(&host.entropy),
        node: Node::new(&config.common.node),
    })))
}
