//! The published token keys: what a deployment does with them, and what an operator may ask.
//!
//! `{"keys": "list"}`, `{"keys": "publish"}`, `{"keys": "promote"}`, `{"keys": {"retire": KID}}`, `{"keys": {"revoke": KID}}`.
//! Key material comes from the configuration only (`TOKEN_KEY_SET`); an event names keys and brings none.

use std::sync::Arc;

use halyard_auth::{
    KeySet,
    keys::{Entry, KeyError, KeyState, Roster, RosterError, Timing},
};
use halyard_cloud::{KeyStore, key_store::KeyStoreError};
use halyard_domain::Clock;
use serde::Deserialize;
use serde_json::{Value, json};

/// How often a change that met another one is tried.
const ATTEMPTS: usize = 5;

/// What an operator may ask.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    /// Say what there is.
    List,
    /// Publish the configured keys that are new, as standby.
    Publish,
    /// Let the oldest standby key sign.
    Promote,
    /// End a key whose tokens have all expired.
    Retire(String),
    /// End a key now, and every token that it signed.
    Revoke(String),
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Not now, or not at all.
    #[error(transparent)]
    Refused(#[from] RosterError),
    /// The store.
    #[error(transparent)]
    Store(#[from] KeyStoreError),
    /// What is stored cannot be read.
    #[error("the stored key set: {0}")]
    Stored(#[from] KeyError),
    /// There is no configured set.
    #[error("TOKEN_KEY_SET is not set")]
    Unconfigured,
}

/// The published keys.
pub(crate) struct TokenKeys {
    pub(crate) store: KeyStore,
    pub(crate) configured: Option<KeySet>,
    pub(crate) timing: Timing,
    pub(crate) clock: Arc<dyn Clock>,
}

impl TokenKeys {
    /// Does it, in one conditional write; answers with the keys as they are then.
    pub(crate) async fn run(&self, command: &Command) -> Result<Value, KeysError> {
        for _ in 0..ATTEMPTS {
            match self.attempt(command).await {
                Err(KeysError::Store(KeyStoreError::Conflict)) => {}
                outcome => return outcome,
            }
        }
        Err(KeyStoreError::Conflict.into())
    }

    async fn attempt(&self, command: &Command) -> Result<Value, KeysError> {
        let (now, configured) = (self.clock.now(), self.configured.as_ref().ok_or(KeysError::Unconfigured)?);
        let stored = self.store.read().await?;
        let before = stored.as_ref().map(|stored| Roster::from_stored(&stored.keys)).transpose()?;
        let mut roster = before.clone().unwrap_or_else(|| Roster::of(configured, now));
        match command {
            Command::List => {}
            Command::Publish => drop(roster.publish(configured, now)),
            Command::Promote => drop(roster.promote(now, &self.timing)?),
            Command::Retire(kid) => roster.retire(kid, now, &self.timing)?,
            Command::Revoke(kid) => drop(roster.revoke(kid, now)?),
        }
        if *command != Command::List && before.as_ref() != Some(&roster) {
            self.store.write(roster.to_stored(), stored.as_ref()).await?;
            tracing::info!(?command, "the token keys were changed");
        }
        Ok(roster.entries().iter().map(|entry| self.view(entry)).collect())
    }

    fn view(&self, entry: &Entry) -> Value {
        let next = match entry.state {
            KeyState::Standby => Some(("promote_from", self.timing.ahead)),
            KeyState::Previous => Some(("retire_from", self.timing.after)),
            KeyState::Current | KeyState::Revoked => None,
        };
        let mut view = json!({"kid": entry.kid, "state": entry.state, "since": entry.since});
        if let Some((name, after)) = next {
            view[name] = json!(entry.since + after);
        }
        view
    }
}
