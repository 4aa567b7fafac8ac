//! The verifier's view of the key set.

use async_trait::async_trait;
use halyard_auth::{AuthnError, KeySet, keys::KeySource};
use halyard_cloud::KeyStore;
use serde_json::json;

/// Reads the stored key set.
#[derive(Debug, Clone)]
pub struct StoredKeySet(KeyStore);

impl StoredKeySet {
    /// From this store.
    pub fn new(store: KeyStore) -> Self {
        Self(store)
    }
}

#[async_trait]
impl KeySource for StoredKeySet {
    async fn read(&self) -> Result<Option<KeySet>, AuthnError> {
        let stored = self.0.read().await.map_err(|error| unavailable(&error))?;
        let Some(stored) = stored else { return Ok(None) };
        let set = KeySet::from_jwks(&json!({"keys": stored.keys}).to_string());
        set.map(Some).map_err(|error| unavailable(&error))
    }
}

fn unavailable(error: &dyn std::error::Error) -> AuthnError {
    tracing::error!(%error, "the token keys could not be read");
    AuthnError::Unavailable(error.to_string())
}
