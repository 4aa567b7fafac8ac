//! Typed configuration, and the only reader of the environment.
//!
//! A function names what it needs as a struct ([`functions`]); [`FromVars::load`] reads it and reports *every* error at
//! once, each with its variable's name and never with a secret's value.

pub mod functions;
mod mail;
mod reader;
mod secret;
pub mod settings;
mod urls;
mod vars;
mod webhook;

pub use functions::{
    AuthConfig, AuthorizerConfig, BeatConfig, CommonConfig, LaneConfig, LanesConfig, LeaseConfig, MigrateConfig,
    NotifierConfig, StatusConfig, TasksConfig, UsersConfig, WaitingConfig, WorkerConfig,
};
pub use mail::{ForgotConfig, MailConfig};
pub use reader::{ConfigError, FromVars, Reader, VarError};
pub use secret::Secret;
pub use settings::{
    AccountConfig, AdminConfig, CloudKind, DatabaseConfig, Environment, KeyRotationConfig, NodeConfig, ObjectsConfig,
    PasswordConfig, QueueConfig, RedisConfig, SessionCacheConfig, SigningConfig, TableConfig, TokenConfig,
};
pub use vars::Vars;
pub use webhook::{CallableConfig, CallbackQueueConfig, OutboundConfig, SourceConfig};
