//! What the handlers share.

use std::{ops::Deref, sync::Arc};

use chrono::{DateTime, Duration, Utc};
use halyard_auth::{
    KeySet, SigningKey, SigningKeys, Verifier,
    account_key::AccountKey,
    keys::KeyState,
    password::Hasher,
    token::{RefreshTokens, TokenRules},
};
use halyard_cloud::{Sessions, redis::Redis};
use halyard_config::ForgotConfig;
use halyard_domain::{Clock, Entropy, MailId};
use halyard_mail::PostOffice;
use halyard_store::Pool;

use crate::{error::AuthError, gate::Gate};

/// The state of one execution environment; cloning is cheap.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// What the state is made of.
pub struct Parts {
    /// Users.
    pub pool: Pool,
    /// Sessions.
    pub sessions: Sessions,
    /// Passwords.
    pub hasher: Hasher,
    /// The one verifier, as the authorizer has it.
    pub verifier: Verifier,
    /// What issues tokens.
    pub issuer: Issuer,
    /// Encrypts second factors, signs device tokens.
    pub account_key: AccountKey,
    /// Calls that are not folded yet.
    pub redis: Redis,
    /// Keeps guessers waiting.
    pub gate: Gate,
    /// Whether a new password may be one that everybody uses.
    pub common_passwords: bool,
    /// Mail.
    pub post: PostOffice,
    /// When who forgot a password is answered.
    pub forgot: ForgotConfig,
    /// Wall clock and test clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<Entropy>,
}

/// What issues tokens.
pub struct Issuer {
    /// Sign access tokens, one at a time: which one, the key set says.
    pub keys: SigningKeys,
    /// Their issuer and audience.
    pub rules: TokenRules,
    /// How long they are good.
    pub access_ttl: Duration,
    /// How long a session lives, and so the last of its refresh tokens.
    pub refresh_ttl: Duration,
    /// Makes refresh tokens.
    pub refresh: RefreshTokens,
}

impl Issuer {
    /// The key to sign with at the moment.
    ///
    /// # Errors
    /// When this environment holds none that anybody would believe.
    pub fn signer(&self, set: &KeySet) -> Result<&SigningKey, AuthError> {
        let key = self.keys.signer(set).ok_or(AuthError::NoSigner)?;
        if set.find(key.kid()).is_none_or(|public| public.state() != KeyState::Current) {
            tracing::error!(kid = key.kid(), "TOKEN_SIGNING_KEY lacks the current key; a previous one signs");
        }
        Ok(key)
    }
}

impl AppState {
    /// Puts the state together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The id of a mail that is about to be caused.
    pub fn mail_id(&self, now: DateTime<Utc>) -> MailId {
        MailId(self.entropy.ulid(now))
    }

    /// Sends mails that a committed statement has caused, as far as that goes quickly.
    pub async fn post_at_once(&self, mails: &[MailId]) {
        self.post.at_once(&self.pool, mails, self.clock.database_override()).await;
    }
}

impl Deref for AppState {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}
