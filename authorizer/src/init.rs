//! From configuration to a function.

use std::sync::Arc;

use halyard_auth::{Verifier, token::TokenRules};
use halyard_config::AuthorizerConfig;
use halyard_platform::{Function, Host, InitError};

use crate::Authorizer;

/// Reads the configuration and opens what there is to open. A dependency that is down does not stop it.
///
/// # Errors
/// When the configuration is not usable.
pub async fn init(host: &Host) -> Result<Function, InitError> {
    let config: AuthorizerConfig = host.config()?;
    let keys = host.token_keys(&config.token).await?;
    let rules = TokenRules { issuer: config.token.issuer, audience: config.token.audience };
    let sessions = host.sessions(config.session_cache.bound).await?;
    let source = Arc::new(host.verifier_sessions(sessions));
    let verifier = Verifier::new(keys, rules, source, Arc::clone(&host.clock));
    Ok(Function::Authorizer(Box::new(Authorizer::new(Arc::new(verifier)))))
}
