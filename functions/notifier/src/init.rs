//! From configuration to a function.

use std::sync::Arc;

use halyard_auth::account_key::AccountKey;
use halyard_cloud::CallbackBell;
use halyard_config::NotifierConfig;
use halyard_platform::{Function, Host, InitError};
use halyard_webhook::{GuardedClient, Outbound};

use crate::handler::Notifier;

/// Reads the configuration and opens what there is to open. A dependency that is down does not stop it.
///
/// # Errors
/// When the configuration is not usable.
pub async fn init(host: &Host) -> Result<Function, InitError> {
    init_with(host, |client| Arc::new(client)).await
}

/// Likewise, with something else in the place of the network.
///
/// # Errors
/// When the configuration is not usable.
pub async fn init_with(
    host: &Host,
    outbound: impl FnOnce(GuardedClient) -> Arc<dyn Outbound>,
) -> Result<Function, InitError> {
    let config: NotifierConfig = host.config()?;
    let pool = halyard_store::connect(config.database.url.expose(), config.database.pool_size)
        .map_err(|error| InitError::other(format!("DATABASE_URL: {error}")))?;
    if let Err(error) = pool.acquire().await {
        tracing::warn!(%error, "starting without the database");
    }
    let account_key = AccountKey::new(config.account.key.expose())
        .map_err(|error| InitError::other(format!("ACCOUNT_KEY: {error}")))?;
    Ok(Function::Sqs(Box::new(Notifier {
        pool,
        bell: CallbackBell::new(host.queue().await?, &config.callbacks.url),
        client: outbound(GuardedClient::new(config.outbound.allowed)),
        account_key,
        source: format!("{}/tasks", config.source.public_url),
        clock: Arc::clone(&host.clock),
        entropy: Arc::clone(&host.entropy),
    })))
}
