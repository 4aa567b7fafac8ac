//! From configuration to a function.

use std::sync::Arc;

use chrono::Duration;
use halyard_auth::{
    KeySet,
    keys::Timing,
    password::{Hasher, HashingCost},
};
use halyard_config::{AdminConfig, MigrateConfig};
use halyard_domain::user::{RuleBroken, check_email, check_password, check_username};
use halyard_platform::{Function, Host, InitError};

use crate::{handler::Migrate, keys::TokenKeys};

/// Reads the configuration; connects to nothing yet.
///
/// # Errors
/// When the configuration is not usable: a default password outside the local environment, or an administrator that
/// could not register.
pub async fn init(host: &Host) -> Result<Function, InitError> {
    let config: MigrateConfig = host.config()?;
    check(&config.admin)?;
    let cost = HashingCost {
        memory_kib: config.password.memory_kib,
        iterations: config.password.iterations,
        parallelism: config.password.parallelism,
    };
    let pool = halyard_store::connect(config.database.url.expose(), 1)
        .map_err(|e| InitError::other(format!("DATABASE_URL: {e}")))?;
    let key_set = config.keys.key_set.as_deref().map(KeySet::from_jwks).transpose();
    let keys = TokenKeys {
        store: host.key_store().await?,
        configured: key_set.map_err(|e| InitError::other(format!("TOKEN_KEY_SET: {e}")))?,
        timing: Timing::of(Duration::from_std(config.keys.access_ttl).unwrap_or(Duration::MAX)),
        clock: Arc::clone(&host.clock),
    };
    Ok(Function::Plain(Box::new(Migrate {
        database_url: config.database.url,
        pool,
        admin: config.admin,
        keys,
        hasher: Hasher::new(cost, config.password.concurrency).map_err(InitError::other)?,
        clock: Arc::clone(&host.clock),
        entropy: Arc::clone(&host.entropy),
    })))
}

fn check(admin: &AdminConfig) -> Result<(), InitError> {
    let named = |name: &'static str| move |rule: RuleBroken| InitError::other(format!("{name}: {rule}"));
    check_username(&admin.username).map_err(named("ADMIN_USERNAME"))?;
    check_email(&admin.email).map_err(named("ADMIN_EMAIL"))?;
    check_password(admin.password.expose()).map_err(named("ADMIN_PASSWORD"))
}
