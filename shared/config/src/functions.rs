//! One struct per function, composed of concerns.

use std::time::Duration;

use halyard_domain::Lane;

use crate::{
    AccountConfig, AdminConfig, CallableConfig, CallbackQueueConfig, CloudKind, DatabaseConfig, Environment,
    ForgotConfig, FromVars, KeyRotationConfig, MailConfig, NodeConfig, ObjectsConfig, OutboundConfig, PasswordConfig,
    QueueConfig, Reader, RedisConfig, SessionCacheConfig, SigningConfig, SourceConfig, TableConfig, TokenConfig,
};

/// What every function reads.
#[derive(Debug, Clone)]
pub struct CommonConfig {
    /// Which deployment.
    pub environment: Environment,
    /// Where queues and tables come from.
    pub cloud: CloudKind,
    /// The host.
    pub node: NodeConfig,
    /// Whether requests are counted against limits; only the local environment may turn that off.
    pub rate_limits: bool,
    /// A filter as `tracing` writes it: `info`, `warn,halyard_jobs=debug`.
    pub log_level: String,
}

impl FromVars for CommonConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let environment = Environment::read(r);
        let cloud = CloudKind::read(r);
        let node = NodeConfig::read(r);
        let mut rate_limits = r.word_or("RATE_LIMITS", true, &[("on", true), ("off", false)]);
        if rate_limits == Some(false) && !r.is_local() {
            rate_limits = r.fail("RATE_LIMITS", "may be off only with HALYARD_ENV=local");
        }
        let log_level = r.text_or("LOG_LEVEL", "info").to_lowercase();
        Some(Self { environment: environment?, cloud: cloud?, node: node?, rate_limits: rate_limits?, log_level })
    }
}

macro_rules! composed {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)+ }

        impl FromVars for $name {
            fn read(r: &mut Reader<'_>) -> Option<Self> {
                // Every part is read before any is missed, so that all errors are found.
                $(let $field = <$type>::read(r);)+
                Some(Self { $($field: $field?,)+ })
            }
        }
    };
}

composed!(
    /// functions/auth.
    AuthConfig {
        /// What every function reads.
        common: CommonConfig,
        /// Users.
        database: DatabaseConfig,
        /// Session cache, limits.
        redis: RedisConfig,
        /// Sessions.
        tables: TableConfig,
        /// Verification.
        token: TokenConfig,
        /// How long a cached session may be trusted.
        session_cache: SessionCacheConfig,
        /// Issue.
        signing: SigningConfig,
        /// Hashing.
        password: PasswordConfig,
        /// Second factors, known devices, passwords that are refused.
        account: AccountConfig,
        /// Mail to users.
        mail: MailConfig,
        /// Forgotten passwords.
        forgot: ForgotConfig,
    }
);

composed!(
    /// authorizer.
    AuthorizerConfig {
        /// What every function reads.
        common: CommonConfig,
        /// Session cache.
        redis: RedisConfig,
        /// Sessions.
        tables: TableConfig,
        /// Verification.
        token: TokenConfig,
        /// How long a cached session may be trusted.
        session_cache: SessionCacheConfig,
    }
);

composed!(
    /// functions/users.
    UsersConfig {
        /// What every function reads.
        common: CommonConfig,
        /// Users, the audit log.
        database: DatabaseConfig,
        /// Revocations are put into the session cache; limits.
        redis: RedisConfig,
        /// Sessions.
        tables: TableConfig,
        /// How long a cached session may be trusted.
        session_cache: SessionCacheConfig,
    }
);

composed!(
    /// functions/tasks.
    TasksConfig {
        /// What every function reads.
        common: CommonConfig,
        /// Tasks.
        database: DatabaseConfig,
        /// Limits.
        redis: RedisConfig,
        /// Doorbells.
        queues: QueueConfig,
        /// Doorbells of webhooks.
        callbacks: CallbackQueueConfig,
        /// Where callbacks may lead.
        outbound: OutboundConfig,
        /// What tasks may invoke.
        callable: CallableConfig,
        /// Log lines.
        tables: TableConfig,
        /// Results that are too large for a row.
        objects: ObjectsConfig,
        /// How many tasks may wait.
        waiting: WaitingConfig,
    }
);

composed!(
    /// functions/status.
    StatusConfig {
        /// What every function reads.
        common: CommonConfig,
        /// Nodes, and whether the database is up.
        database: DatabaseConfig,
        /// Limits, and whether Redis is up.
        redis: RedisConfig,
        /// Whether the queues are up, and how full.
        queues: QueueConfig,
    }
);

composed!(
    /// functions/worker.
    WorkerConfig {
        /// What every function reads.
        common: CommonConfig,
        /// Tasks.
        database: DatabaseConfig,
        /// Doorbells of retries.
        queues: QueueConfig,
        /// Doorbells of webhooks.
        callbacks: CallbackQueueConfig,
        /// Log lines.
        tables: TableConfig,
        /// Results that are too large for a row.
        objects: ObjectsConfig,
        /// Leases.
        lease: LeaseConfig,
        /// What each lane may take.
        lanes: LanesConfig,
        /// Where tasks may call.
        outbound: OutboundConfig,
        /// What tasks may invoke.
        callable: CallableConfig,
    }
);

composed!(
    /// functions/notifier.
    NotifierConfig {
        /// What every function reads.
        common: CommonConfig,
        /// Deliveries.
        database: DatabaseConfig,
        /// Doorbells of retries.
        callbacks: CallbackQueueConfig,
        /// Where webhooks may go.
        outbound: OutboundConfig,
        /// What opens the secrets that they are signed with.
        account: AccountConfig,
        /// What they name as their source.
        source: SourceConfig,
    }
);

composed!(
    /// functions/beat.
    BeatConfig {
        /// What every function reads.
        common: CommonConfig,
        /// Outbox, leases, statistics, nodes.
        database: DatabaseConfig,
        /// Revocations are put into the session cache too.
        redis: RedisConfig,
        /// Sessions.
        tables: TableConfig,
        /// How long a cached session may be trusted.
        session_cache: SessionCacheConfig,
        /// Doorbells.
        queues: QueueConfig,
        /// Doorbells of webhooks.
        callbacks: CallbackQueueConfig,
        /// Mail that is owed.
        mail: MailConfig,
    }
);

composed!(
    /// functions/migrate.
    MigrateConfig {
        /// What every function reads.
        common: CommonConfig,
        /// What is migrated.
        database: DatabaseConfig,
        /// Hashing of the administrator's password.
        password: PasswordConfig,
        /// The first administrator.
        admin: AdminConfig,
        /// The published token keys.
        tables: TableConfig,
        /// Their rotation.
        keys: KeyRotationConfig,
    }
);

/// How long an attempt holds its task without renewing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseConfig {
    /// The lease's length.
    pub length: Duration,
}

impl FromVars for LeaseConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        Some(Self { length: Duration::from_secs(r.number_or("LEASE_SECONDS", 15, 2..=900)?) })
    }
}

/// How many tasks may wait in a lane before submits are answered 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingConfig {
    /// Of one user, 1 or more.
    pub of_user: i64,
    /// Of all together, 1 or more.
    pub of_lane: i64,
}

impl FromVars for WaitingConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let of_user = r.number_or("MAX_WAITING_OF_USER", 200_000, 1..=10_000_000);
        let of_lane = r.number_or("MAX_WAITING_OF_LANE", 1_000_000, 1..=100_000_000);
        Some(Self { of_user: of_user?, of_lane: of_lane? })
    }
}

/// What a lane may take of an invocation of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneConfig {
    /// Tasks of one invocation that run side by side, 1 to 100.
    pub side_by_side: usize,
    /// What is left of the invocation's time when they are asked to stop, 1 to 300 seconds.
    pub margin: Duration,
}

/// What each lane may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanesConfig {
    high: LaneConfig,
    default: LaneConfig,
    low: LaneConfig,
    long: LaneConfig,
}

impl LanesConfig {
    /// A lane's.
    pub fn of(&self, lane: Lane) -> LaneConfig {
        match lane {
            Lane::High => self.high,
            Lane::Default => self.default,
            Lane::Low => self.low,
            Lane::Long => self.long,
        }
    }
}

impl FromVars for LanesConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let mut lane = |side_by_side: &'static str, beside, margin: &'static str, seconds| {
            let side_by_side = r.number_or(side_by_side, beside, 1..=100);
            let margin = r.number_or(margin, seconds, 1..=300).map(Duration::from_secs);
            Some(LaneConfig { side_by_side: side_by_side?, margin: margin? })
        };
        let high = lane("HIGH_SIDE_BY_SIDE", 25, "HIGH_MARGIN_SECONDS", 3);
        let default = lane("DEFAULT_SIDE_BY_SIDE", 25, "DEFAULT_MARGIN_SECONDS", 3);
        let low = lane("LOW_SIDE_BY_SIDE", 25, "LOW_MARGIN_SECONDS", 3);
        let long = lane("LONG_SIDE_BY_SIDE", 1, "LONG_MARGIN_SECONDS", 30);
        Some(Self { high: high?, default: default?, low: low?, long: long? })
    }
}
