//! From configuration to a function.

use std::sync::Arc;

use chrono::Duration;
use halyard_auth::{
    Keys, SigningKeys, Verifier,
    account_key::AccountKey,
    password::{Hasher, HashingCost},
    token::{RefreshTokens, TokenRules},
};
use halyard_cloud::redis::Guesses;
use halyard_config::{AuthConfig, PasswordConfig};
use halyard_mail::PostOffice;
use halyard_platform::{Function, Host, InitError};

use crate::{
    gate::Gate,
    router,
    state::{AppState, Issuer, Parts},
};

/// Reads the configuration and opens what there is to open. A dependency that is down does not stop it.
///
/// # Errors
/// When the configuration is not usable, a private key that the key set does not know included.
pub async fn init(host: &Host) -> Result<Function, InitError> {
    let config: AuthConfig = host.config()?;
    let keys = host.token_keys(&config.token).await?;
    let signing = SigningKeys::from_json(config.signing.key.expose()).map_err(|e| named("TOKEN_SIGNING_KEY", &e))?;
    check(&signing, &keys).await?;
    let refresh = RefreshTokens::of(&signing).ok_or_else(|| InitError::other("TOKEN_SIGNING_KEY: no key"))?;
    let rules = TokenRules { issuer: config.token.issuer, audience: config.token.audience };
    let sessions = host.sessions(config.session_cache.bound).await?;
    let source = Arc::new(host.verifier_sessions(sessions.clone()));
    let pool = halyard_store::connect(config.database.url.expose(), config.database.pool_size)
        .map_err(|e| named("DATABASE_URL", &e))?;
    if let Err(error) = pool.acquire().await {
        tracing::warn!(%error, "starting without the database");
    }
    let state = AppState::new(Parts {
        pool,
        sessions,
        hasher: hasher(&config.password)?,
        post: PostOffice::new(halyard_mail::Parts {
            mailer: host.mailer(&config.mail)?,
            from: config.mail.from,
            public_url: config.mail.public_url,
            entropy: Arc::clone(&host.entropy),
        }),
        forgot: config.forgot,
        verifier: Verifier::new(keys, rules.clone(), source, Arc::clone(&host.clock)),
        issuer: Issuer {
            keys: signing,
            refresh,
            rules,
            access_ttl: seconds(config.signing.access_ttl),
            refresh_ttl: seconds(config.signing.refresh_ttl),
        },
        account_key: AccountKey::new(config.account.key.expose()).map_err(|e| named("ACCOUNT_KEY", &e))?,
        redis: host.redis().await?,
        gate: Gate::new(Guesses::new(host.redis().await?), !config.common.rate_limits),
        common_passwords: config.account.common_passwords,
        clock: Arc::clone(&host.clock),
        entropy: Arc::clone(&host.entropy),
    });
    Ok(Function::Http(router(state, host.keyed_http_context().await?)))
}

/// The configuration must be of one piece: some private key belongs to the configured set. Which one signs, the stored
/// set says.
async fn check(signing: &SigningKeys, keys: &Keys) -> Result<(), InitError> {
    if !signing.iter().any(|key| keys.configured().iter().any(|public| key.belongs_to(public))) {
        return Err(InitError::other("TOKEN_SIGNING_KEY: its public key is not in TOKEN_KEY_SET"));
    }
    // The other routes of this function can do without, and a key that is promoted next may be among them.
    if keys.present().await.is_ok_and(|set| signing.signer(&set).is_none()) {
        tracing::error!("TOKEN_SIGNING_KEY holds neither the current key nor a previous one: nobody can sign in");
    }
    Ok(())
}

fn hasher(config: &PasswordConfig) -> Result<Hasher, InitError> {
    let cost =
        HashingCost { memory_kib: config.memory_kib, iterations: config.iterations, parallelism: config.parallelism };
    Hasher::new(cost, config.concurrency).map_err(InitError::other)
}

fn named(variable: &str, error: &dyn std::error::Error) -> InitError {
    InitError::other(format!("{variable}: {error}"))
}

/// Whole seconds, which the configuration bounds to a year.
fn seconds(duration: std::time::Duration) -> Duration {
    Duration::from_std(duration).unwrap_or(Duration::MAX)
}
