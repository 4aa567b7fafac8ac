//! The verifier's view of the session store.

use std::sync::Arc;

use async_trait::async_trait;
use halyard_auth::verifier::{AuthnError, SessionSource};
use halyard_cloud::Sessions;
use halyard_domain::{Clock, SessionId, UserId, session::Session};

/// Looks sessions up for the verifier, through the cache.
#[derive(Debug, Clone)]
pub struct VerifierSessions {
    sessions: Sessions,
    clock: Arc<dyn Clock>,
}

impl VerifierSessions {
    /// Over this store.
    pub fn new(sessions: Sessions, clock: Arc<dyn Clock>) -> Self {
        Self { sessions, clock }
    }
}

#[async_trait]
impl SessionSource for VerifierSessions {
    async fn lookup(&self, user: UserId, session: SessionId) -> Result<Option<(Session, i64)>, AuthnError> {
        self.sessions.lookup(user, session, self.clock.now()).await.map_err(|error| {
            // Whatever keeps the store from saying, nobody can say: 503, and never an open door.
            tracing::error!(%error, "a session could not be looked up");
            AuthnError::Unavailable(error.to_string())
        })
    }
}
