//! The verifier's view of the session store.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use halyard_auth::verifier::{AuthnError, FoundKey, SessionSource};
use halyard_cloud::{ApiKeys, Sessions, api_keys::minute, sessions::SessionError};
use halyard_domain::{ApiKeyId, Clock, SessionId, UserId, api_key::ApiKey, session::Session};

/// Looks sessions up for the verifier, through the cache.
#[derive(Debug)]
pub struct VerifierSessions {
    sessions: Sessions,
    keys: ApiKeys,
    clock: Arc<dyn Clock>,
    /// The minute in which this environment last noted a use of each key.
    noted: Mutex<HashMap<ApiKeyId, i64>>,
}

/// Keys that an environment remembers; when there are more it begins anew.
const REMEMBERED: usize = 1000;

impl VerifierSessions {
    /// Over this store.
    pub fn new(sessions: Sessions, clock: Arc<dyn Clock>) -> Self {
        Self { keys: sessions.api_keys(), sessions, clock, noted: Mutex::default() }
    }
}

impl VerifierSessions {
    /// Is this the first use of a key in this minute that this environment knows of?
    fn is_news(&self, id: ApiKeyId, minute: i64) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= REMEMBERED {
            noted.clear();
        }
        noted.insert(id, minute) != Some(minute)
    }
}

#[async_trait]
impl SessionSource for VerifierSessions {
    async fn lookup(&self, user: UserId, session: SessionId) -> Result<Option<(Session, i64)>, AuthnError> {
        self.sessions.lookup(user, session, self.clock.now()).await.map_err(|error| unavailable(&error))
    }

    async fn lookup_key(&self, user: UserId, key: ApiKeyId) -> Result<Option<FoundKey>, AuthnError> {
        let looked = self.keys.lookup_used(user, key, self.clock.now()).await;
        let (found, from_store) = looked.map_err(|error| unavailable(&error))?;
        Ok(found.map(|(key, epoch)| FoundKey { key, epoch, from_store }))
    }

    async fn key_used(&self, key: &ApiKey) {
        let now = self.clock.now();
        if self.is_news(key.id, minute(now)) {
            self.keys.note_use(key, now).await;
        }
    }
}

/// Whatever keeps the store from saying, nobody can say: 503, and never an open door.
fn unavailable(error: &SessionError) -> AuthnError {
    tracing::error!(%error, "a session or key could not be looked up");
    AuthnError::Unavailable(error.to_string())
}
