//! What a function is given when it starts, and the adapters that follow from it.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use halyard_auth::{
    KeySet, Keys,
    keys::{KeyError, SharedSecret},
};
use halyard_cloud::{
    IdempotencyRecords, KeyStore, Sessions,
    aws::{AwsSettings, SdkConfig},
    functions::Lambda,
    mail::{Mailer, SesMailer},
    objects::{Objects, S3Objects},
    queue::{Queue, SqsQueue},
    redis::{Redis, SessionCache},
    table::{DynamoTable, Table, TableName},
};
use halyard_config::{
    CloudKind, CommonConfig, ConfigError, FromVars, MailConfig, RedisConfig, TableConfig, TokenConfig, Vars,
};
use halyard_domain::{Clock, Entropy};
use halyard_http::HttpContext;

use crate::{RedisLimiter, StoredKeySet, StoredKeys, VerifierSessions};

/// Why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Its configuration is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something else that no retry mends.
    #[error("{0}")]
    Other(String),
}

impl InitError {
    /// From anything that can say what is wrong.
    pub fn other(error: impl fmt::Display) -> Self {
        Self::Other(error.to_string())
    }
}

/// Queues, tables, buckets and mailboxes that live in the host's process.
#[derive(Debug, Clone)]
pub struct Twins {
    /// The queues.
    pub queue: Arc<dyn Queue>,
    /// The tables.
    pub table: Arc<dyn Table>,
    /// The buckets.
    pub objects: Arc<dyn Objects>,
    /// The mailboxes.
    pub mail: Arc<dyn Mailer>,
}

/// One execution environment's surroundings. Every environment has its own, and so its own connections.
#[derive(Debug)]
pub struct Host {
    /// The function's environment variables.
    pub vars: Vars,
    /// The function's name.
    pub function: String,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<Entropy>,
    /// What stands in for AWS, if the host brings it.
    pub twins: Option<Twins>,
    redis: OnceLock<Redis>,
    sdk: OnceLock<SdkConfig>,
}

impl Host {
    /// Surroundings without connections yet.
    pub fn new(
        vars: Vars,
        function: impl Into<String>,
        clock: Arc<dyn Clock>,
        entropy: Arc<Entropy>,
        twins: Option<Twins>,
    ) -> Self {
        let function = function.into();
        crate::node::process_started(clock.now());
        Self { vars, function, clock, entropy, twins, redis: OnceLock::new(), sdk: OnceLock::new() }
    }

    /// The same surroundings with every variable that names a secret (`secretsmanager:<name>#<field>`) holding it.
    ///
    /// # Errors
    /// With the name of every variable whose secret could not be had, and why.
    pub async fn with_secrets(mut self) -> Result<Self, InitError> {
        if let Some(vars) = crate::secrets::resolve(&self.vars, || self.sdk().clone()).await? {
            self.vars = vars;
        }
        Ok(self)
    }

    /// Reads a function's configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn config<C: FromVars>(&self) -> Result<C, InitError> {
        Ok(C::load(&self.vars)?)
    }

    /// When the first environment of this process began.
    pub fn started_at(&self) -> chrono::DateTime<chrono::Utc> {
        crate::node::process_started(self.clock.now())
    }

    /// The queues: SQS, or the host's twin.
    ///
    /// # Errors
    /// When the configuration is wrong, or asks for a twin that the host does not bring.
    #[expect(clippy::unused_async, reason = "callers need not know which adapters must wait")]
    pub async fn queue(&self) -> Result<Arc<dyn Queue>, InitError> {
        if let Some(twins) = self.twins()? {
            return Ok(twins.queue);
        }
        // Those that the function was given: which it needs, its own configuration says.
        let is_queue = |name: &str| name.starts_with("QUEUE_") && name.ends_with("_URL");
        let urls = self.vars.iter().filter(|(name, _)| is_queue(name)).map(|(_, url)| url.to_owned());
        Ok(Arc::new(SqsQueue::with_urls(self.sdk(), urls)))
    }

    /// The tables: `DynamoDB`, or the host's twin.
    ///
    /// # Errors
    /// When the configuration is wrong, or asks for a twin that the host does not bring.
    #[expect(clippy::unused_async, reason = "callers need not know which adapters must wait")]
    pub async fn table(&self) -> Result<Arc<dyn Table>, InitError> {
        match self.twins()? {
            Some(twins) => Ok(twins.table),
            None => Ok(Arc::new(DynamoTable::new(self.sdk()))),
        }
    }

    /// The buckets: S3 (at `AWS_ENDPOINT_URL_S3`, if it is elsewhere than the rest of AWS), or the host's twin. Links lead to
    /// `OBJECTS_PUBLIC_URL`, if those who follow them reach it there.
    ///
    /// # Errors
    /// When the configuration is wrong, or asks for a twin that the host does not bring.
    #[expect(clippy::unused_async, reason = "callers need not know which adapters must wait")]
    pub async fn objects(&self) -> Result<Arc<dyn Objects>, InitError> {
        if let Some(twins) = self.twins()? {
            return Ok(twins.objects);
        }
        let (endpoint, public) = (self.vars.get("AWS_ENDPOINT_URL_S3"), self.vars.get("OBJECTS_PUBLIC_URL"));
        Ok(Arc::new(S3Objects::new(&self.aws_settings(), self.sdk(), endpoint, public)))
    }

    /// The mail service: SES, or the host's twin.
    ///
    /// # Errors
    /// When the configuration is wrong, or asks for a twin that the host does not bring.
    pub fn mailer(&self, config: &MailConfig) -> Result<Arc<dyn Mailer>, InitError> {
        match self.twins()? {
            Some(twins) => Ok(twins.mail),
            None => Ok(Arc::new(SesMailer::new(self.sdk(), config.configuration_set.clone()))),
        }
    }

    /// AWS Lambda, or what speaks its API at `AWS_ENDPOINT_URL_LAMBDA`; `None` where neither is.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub fn lambda(&self) -> Result<Option<Lambda>, InitError> {
        let endpoint = self.vars.get("AWS_ENDPOINT_URL_LAMBDA");
        if endpoint.is_none() && self.config::<CloudKind>()? == CloudKind::Twin {
            return Ok(None);
        }
        Ok(Some(Lambda::new(&self.aws_settings(), self.sdk(), endpoint)))
    }

    /// Redis: one connection for this environment, opened now if it answers and else when it does.
    ///
    /// # Errors
    /// When the configuration is wrong; never because Redis is down.
    pub async fn redis(&self) -> Result<Redis, InitError> {
        if let Some(redis) = self.redis.get() {
            return Ok(redis.clone());
        }
        let config: RedisConfig = self.config()?;
        let redis = Redis::new(config.url.expose(), &config.namespace).map_err(InitError::other)?;
        redis.warm_up().await;
        Ok(self.redis.get_or_init(|| redis).clone())
    }

    /// The session store, its reads through the cache in Redis.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub async fn sessions(&self, cache_bound: std::time::Duration) -> Result<Sessions, InitError> {
        let tables: TableConfig = self.config()?;
        let cache = (!cache_bound.is_zero()).then_some(SessionCache::new(self.redis().await?, cache_bound));
        Ok(Sessions::new(self.table().await?, TableName(tables.sessions), cache))
    }

    /// The session store as the verifier asks it.
    pub fn verifier_sessions(&self, sessions: Sessions) -> VerifierSessions {
        VerifierSessions::new(sessions, Arc::clone(&self.clock))
    }

    /// Where the public token keys are kept.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub async fn key_store(&self) -> Result<KeyStore, InitError> {
        let tables: TableConfig = self.config()?;
        Ok(KeyStore::new(self.table().await?, TableName(tables.sessions)))
    }

    /// The keys that tokens are verified with, read now if the store answers and else when it does.
    ///
    /// # Errors
    /// When the configuration is wrong; never because the store is down.
    pub async fn token_keys(&self, config: &TokenConfig) -> Result<Arc<Keys>, InitError> {
        let named = |name: &'static str| move |error: KeyError| InitError::other(format!("{name}: {error}"));
        let shared = config.shared_secret.as_ref().map(|secret| SharedSecret::new(secret.expose())).transpose();
        let shared = shared.map_err(named("TOKEN_HS256_SECRET"))?;
        let configured = KeySet::from_jwks(&config.key_set).map_err(named("TOKEN_KEY_SET"))?;
        let configured = configured.with_shared(shared).map_err(named("TOKEN_HS256_SECRET"))?;
        let source = Arc::new(StoredKeySet::new(self.key_store().await?));
        let keys = Keys::stored(configured, source, Arc::clone(&self.clock));
        if let Err(error) = keys.present().await {
            tracing::warn!(%error, "starting without the token keys");
        }
        Ok(Arc::new(keys))
    }

    /// What the guard of every route needs: limits over Redis.
    ///
    /// # Errors
    /// When the configuration is wrong; never because Redis is down.
    pub async fn http_context(&self) -> Result<HttpContext, InitError> {
        let common: CommonConfig = self.config()?;
        let limiter = Arc::new(RedisLimiter::new(self.redis().await?));
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        Ok(HttpContext::new(clock, entropy, limiter, common.rate_limits))
    }

    /// The same for a function with routes that take an `Idempotency-Key`.
    ///
    /// # Errors
    /// When the configuration is wrong; never because Redis or the table is down.
    pub async fn keyed_http_context(&self) -> Result<HttpContext, InitError> {
        let tables: TableConfig = self.config()?;
        let records = IdempotencyRecords::new(self.table().await?, TableName(tables.idempotency));
        Ok(self.http_context().await?.remembering(Arc::new(StoredKeys::new(records))))
    }

    fn twins(&self) -> Result<Option<Twins>, InitError> {
        match self.config::<CloudKind>()? {
            CloudKind::Aws => Ok(None),
            CloudKind::Twin => {
                let none = || InitError::other("HALYARD_CLOUD: this host brings no twins");
                self.twins.clone().map(Some).ok_or_else(none)
            }
        }
    }

    /// The settings of every AWS client of this environment, which share one HTTP client.
    fn sdk(&self) -> &SdkConfig {
        self.sdk.get_or_init(|| self.aws_settings().sdk_config())
    }

    fn aws_settings(&self) -> AwsSettings {
        AwsSettings::from_lookup(|name| self.vars.get(name).map(str::to_owned))
    }
}
