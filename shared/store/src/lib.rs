//! PostgreSQL: one file per aggregate, plain functions over a connection, rows in and domain types out.
//!
//! The caller owns the connection and, where several calls belong together, the transaction. Each function that is on
//! the path of a request or of a task is one statement, so it is one round trip and commits or fails as a whole.
//!
//! Every function that needs the time takes [`Now`]: `None` lets the database's clock decide (its
//! `statement_timestamp()`, which stands still within a statement), `Some` is a test's clock
//! (`Clock::database_override`).

pub mod audit;
pub mod auth_epochs;
pub mod cleanup;
mod error;
mod gather;
pub mod imports;
pub mod lanes;
pub mod mails;
mod migrate;
pub mod nodes;
mod options;
pub mod outbox;
mod pool;
mod rows;
pub mod schedules;
pub mod second_factors;
pub mod statistics;
pub mod tasks;
pub mod users;
pub mod webhooks;
pub mod workflows;

pub use error::{Constraint, StoreError, within};
pub use gather::{Gather, Gathered};
pub use migrate::{migrate, migrator};
pub use pool::{Connection, Pool, Transaction, connect, ping};
pub use sqlx::PgConnection;

/// The time for a statement: `None` is the database's own clock.
pub type Now = Option<chrono::DateTime<chrono::Utc>>;

/// What a function of this crate answers.
pub type Result<T> = std::result::Result<T, StoreError>;
