//! The AWS-shaped and Redis dependencies behind narrow traits, and the stores that live in them.
//!
//! `queue` is SQS, `table` is DynamoDB, `objects` is S3, `mail` is SES; each has an adapter over the AWS SDK, or over what signs and
//! sends its requests, and a twin that runs inside one process.
//! A twin exists only because a test runs the same contract against it and against the real service.

pub mod api_keys;
pub mod aws;
pub mod callbacks;
pub mod functions;
mod http;
pub mod iam;
pub mod idempotency;
pub mod key_store;
pub mod mail;
pub mod objects;
pub mod queue;
pub mod records;
pub mod redis;
pub mod round_trips;
pub mod secrets;
pub mod sessions;
mod signed;
pub mod table;
pub mod task_logs;

pub use api_keys::ApiKeys;
pub use callbacks::CallbackBell;
pub use idempotency::IdempotencyRecords;
pub use key_store::KeyStore;
pub use sessions::Sessions;
pub use task_logs::TaskLogs;
