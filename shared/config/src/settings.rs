//! One struct per concern.

use std::time::Duration;

use halyard_domain::Lane;

use crate::{
    FromVars, Reader, Secret,
    urls::{self, Place},
};

/// Which deployment this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Environment {
    /// One machine, loopback, default secrets accepted.
    Local,
    /// Anything else, by name.
    Named(String),
}

impl Environment {
    /// The variable.
    pub const VARIABLE: &'static str = "HALYARD_ENV";
    /// The name of the local environment.
    pub const LOCAL: &'static str = "local";

    /// The environment's name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Local => Self::LOCAL,
            Self::Named(name) => name,
        }
    }

    /// Is it the local one?
    pub fn is_local(&self) -> bool {
        *self == Self::Local
    }
}

impl FromVars for Environment {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let name = r.text(Self::VARIABLE)?;
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !plain || name.len() > 64 {
            return r.fail(Self::VARIABLE, "must be at most 64 letters, digits, '-' and '_'");
        }
        Some(if name == Self::LOCAL { Self::Local } else { Self::Named(name) })
    }
}

/// PostgreSQL.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// Where and as whom, password included.
    pub url: Secret,
    /// Connections of one execution environment, 1 or 2.
    pub pool_size: u32,
}

impl FromVars for DatabaseConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        const URL: &str = "DATABASE_URL";
        let url = r.text(URL).and_then(|url| {
            if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
                return r.fail(URL, "must begin with postgres:// or postgresql://");
            }
            urls::with_password(r, (URL, url), "DATABASE_PASSWORD", Place::Named)
        });
        let pool_size = r.number_or("DATABASE_POOL_SIZE", 1, 1..=2);
        Some(Self { url: url?, pool_size: pool_size? })
    }
}

/// Redis.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// Where, password included; `redis://`, `rediss://`, `redis+unix://` or `unix://`.
    pub url: Secret,
    /// The prefix of every key.
    pub namespace: String,
}

impl FromVars for RedisConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        const URL: &str = "REDIS_URL";
        const SCHEMES: [&str; 4] = ["redis://", "rediss://", "redis+unix://", "unix://"];
        let url = r.text(URL).and_then(|url| {
            if !SCHEMES.iter().any(|s| url.starts_with(s)) {
                return r.fail(URL, format!("must begin with one of {}", SCHEMES.join(", ")));
            }
            let place = if url.contains("unix://") { Place::Query } else { Place::Anywhere };
            urls::with_password(r, (URL, url), "REDIS_PASSWORD", place)
        });
        let namespace = r.text_or("REDIS_NAMESPACE", "halyard");
        if namespace.len() > 64 || namespace.bytes().any(|b| !b.is_ascii_alphanumeric() && !b"-_.".contains(&b)) {
            return r.fail("REDIS_NAMESPACE", "must be at most 64 letters, digits, '.', '-' and '_'");
        }
        Some(Self { url: url?, namespace })
    }
}

/// Where queues and tables come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CloudKind {
    /// The AWS SDK (or an emulator behind `AWS_ENDPOINT_URL`).
    #[default]
    Aws,
    /// Twins inside this process, which the host brings.
    Twin,
}

impl FromVars for CloudKind {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        r.word_or("HALYARD_CLOUD", Self::Aws, &[("aws", Self::Aws), ("twin", Self::Twin)])
    }
}

/// The queue of each lane.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    urls: [String; 4],
}

impl QueueConfig {
    const VARIABLES: [(Lane, &'static str); 4] = [
        (Lane::High, "QUEUE_HIGH_URL"),
        (Lane::Default, "QUEUE_DEFAULT_URL"),
        (Lane::Low, "QUEUE_LOW_URL"),
        (Lane::Long, "QUEUE_LONG_URL"),
    ];

    /// The lane's queue URL.
    pub fn url(&self, lane: Lane) -> &str {
        let at = Self::VARIABLES.iter().position(|(l, _)| *l == lane).unwrap_or_default();
        &self.urls[at]
    }

    /// The lane's queue name: the last segment of its URL.
    pub fn name(&self, lane: Lane) -> &str {
        let url = self.url(lane);
        url.rsplit('/').next().unwrap_or(url)
    }
}

impl FromVars for QueueConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let [high, default, low, long] = Self::VARIABLES.map(|(_, name)| r.text(name));
        Some(Self { urls: [high?, default?, low?, long?] })
    }
}

/// The tables.
#[derive(Debug, Clone)]
pub struct TableConfig {
    /// Sessions and `auth_epoch`.
    pub sessions: String,
    /// Log lines of tasks.
    pub task_logs: String,
    /// Records of `Idempotency-Key`.
    pub idempotency: String,
}

impl FromVars for TableConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let (sessions, task_logs) = (r.text("TABLE_SESSIONS"), r.text("TABLE_TASK_LOGS"));
        let idempotency = r.text("TABLE_IDEMPOTENCY");
        Some(Self { sessions: sessions?, task_logs: task_logs?, idempotency: idempotency? })
    }
}

/// The buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectsConfig {
    /// Results of tasks that are too large for a row.
    pub results: String,
}

impl FromVars for ObjectsConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        Some(Self { results: r.text("RESULTS_BUCKET")? })
    }
}

/// What the verification of tokens needs.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// The public keys, a JWK Set (RFC 7517) as JSON text: those to begin with, until the store has a set.
    pub key_set: String,
    /// Verifies HS256 tokens of services that hold it too; without it no such token is accepted.
    pub shared_secret: Option<Secret>,
}

impl FromVars for TokenConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let issuer = r.text("TOKEN_ISSUER");
        let audience = r.text("TOKEN_AUDIENCE");
        let key_set = r.text("TOKEN_KEY_SET");
        let shared_secret = r.raw("TOKEN_HS256_SECRET").map(Secret::new);
        Some(Self { issuer: issuer?, audience: audience?, key_set: key_set?, shared_secret })
    }
}

/// The cache of sessions in Redis: part of the bound within which a revocation takes effect.
#[derive(Debug, Clone, Copy)]
pub struct SessionCacheConfig {
    /// How long a cached session may be trusted; zero turns the cache off.
    pub bound: Duration,
}

impl FromVars for SessionCacheConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let bound = r.number_or("SESSION_CACHE_SECONDS", 1, 0..=300);
        Some(Self { bound: Duration::from_secs(bound?) })
    }
}

const ACCESS_TOKEN_TTL: &str = "ACCESS_TOKEN_TTL";

/// What the issue of tokens needs besides [`TokenConfig`].
#[derive(Debug, Clone)]
pub struct SigningConfig {
    /// The private key, an OKP JWK (RFC 8037) with `kid`, as JSON text, or a set of them: the one that signs, those that
    /// did and those that will.
    pub key: Secret,
    /// Life of an access token.
    pub access_ttl: Duration,
    /// Life of a session, and so of its refresh tokens.
    pub refresh_ttl: Duration,
}

impl FromVars for SigningConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let key = r.secret("TOKEN_SIGNING_KEY");
        let access = r.number_or(ACCESS_TOKEN_TTL, 3_600, 1..=86_400);
        let refresh = r.number_or("REFRESH_TOKEN_TTL", 2_592_000, 60..=31_536_000);
        Some(Self { key: key?, access_ttl: Duration::from_secs(access?), refresh_ttl: Duration::from_secs(refresh?) })
    }
}

/// What the deploy step needs to look after the published token keys.
#[derive(Debug, Clone)]
pub struct KeyRotationConfig {
    /// The public keys, as [`TokenConfig::key_set`]; without it keys are left alone.
    pub key_set: Option<String>,
    /// Life of an access token: a key is not retired before the last token that it signed has ended.
    pub access_ttl: Duration,
}

impl FromVars for KeyRotationConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        const KEY_SET: &str = "TOKEN_KEY_SET";
        let key_set = r.raw(KEY_SET).map(str::to_owned);
        if key_set.as_ref().is_some_and(|text| !text.trim_start().starts_with('{')) {
            return r.fail(KEY_SET, "must be a JWK set as JSON");
        }
        let access_ttl = Duration::from_secs(r.number_or(ACCESS_TOKEN_TTL, 3_600, 1..=86_400)?);
        Some(Self { key_set, access_ttl })
    }
}

/// Argon2id, as OWASP's Password Storage Cheat Sheet recommends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordConfig {
    /// Memory of one hash, KiB.
    pub memory_kib: u32,
    /// Passes.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
    /// Hashes that one execution environment computes at a time.
    pub concurrency: usize,
}

impl FromVars for PasswordConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        // Below OWASP's floor only where nothing is worth attacking: tests would hash all day.
        let floor = if r.is_local() { 8 } else { 7_168 };
        let memory = r.number_or("ARGON2_MEMORY_KIB", 19_456, floor..=1_048_576);
        let iterations = r.number_or("ARGON2_ITERATIONS", 2, 1..=20);
        let parallelism = r.number_or("ARGON2_PARALLELISM", 1, 1..=16);
        let concurrency = r.number_or("PASSWORD_HASH_CONCURRENCY", 2, 1..=64);
        Some(Self {
            memory_kib: memory?,
            iterations: iterations?,
            parallelism: parallelism?,
            concurrency: concurrency?,
        })
    }
}

/// What protects accounts beyond the hash of a password.
#[derive(Debug, Clone)]
pub struct AccountConfig {
    /// Encrypts second factors and signs device tokens: texts of 32 characters or more, the present one first.
    pub key: Secret,
    /// Whether a new password may be one that everybody uses.
    pub common_passwords: bool,
}

impl FromVars for AccountConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let key = r.secret("ACCOUNT_KEY");
        // The original's clients test with accounts whose passwords everybody knows.
        let words = [("refuse", false), ("allow", true)];
        let common_passwords = r.word_or("COMMON_PASSWORDS", r.is_local(), &words);
        Some(Self { key: key?, common_passwords: common_passwords? })
    }
}

/// The first administrator, whom the migration makes.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// Name.
    pub username: String,
    /// E-mail address.
    pub email: String,
    /// First password.
    pub password: Secret,
}

impl FromVars for AdminConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let username = r.text_or("ADMIN_USERNAME", "admin");
        let email = r.text_or("ADMIN_EMAIL", "admin@company.com");
        Some(Self { username, email, password: r.secret("ADMIN_PASSWORD")? })
    }
}

/// The host of this execution environment, for `/health/nodes`.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// What to call it: `NODE_ID`, or on Lambda the end of the log stream's name, which each environment has for
    /// itself; without either, the host's name.
    pub id: Option<String>,
    /// What the whole host is there for (`NODE_ROLE`: `api`, `worker`, `beat`), where it is one of several that share the
    /// work. Its environments are one node then, by its id.
    pub role: Option<String>,
    /// Tasks that the whole host runs side by side, where it says (`NODE_CAPACITY`).
    pub capacity: Option<u16>,
    /// The port that the host serves, if it says.
    pub port: Option<u16>,
    /// `HALYARD_VERSION`, or the crate's version.
    pub version: String,
    /// Whether this is a host of ours, whose CPU and memory mean something; false on Lambda, which freezes.
    pub real_host: bool,
}

impl FromVars for NodeConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let stream = r.raw("AWS_LAMBDA_LOG_STREAM_NAME").and_then(|name| name.rsplit(['/', ']']).next());
        let port = r.number_or("NODE_PORT", 0, 0..=u16::MAX)?;
        let capacity = r.number_or("NODE_CAPACITY", 0, 0..=u16::MAX)?;
        Some(Self {
            id: r.raw("NODE_ID").or(stream).map(str::to_owned),
            role: r.raw("NODE_ROLE").map(str::to_owned),
            capacity: (capacity > 0).then_some(capacity),
            port: (port > 0).then_some(port),
            version: r.text_or("HALYARD_VERSION", env!("CARGO_PKG_VERSION")),
            real_host: r.raw("AWS_LAMBDA_RUNTIME_API").is_none(),
        })
    }
}
