//! Contracts: what the adapters and their twins both keep, and what Redis is relied on for.
//!
//! The real side is whatever answers at `TEST_AWS_ENDPOINT`; `make test` starts an emulator there. Where that emulator
//! differs from the documentation of AWS, the test says so beside what it asks.

mod aws;
pub mod cache;
mod dead_endpoint;
mod functions;
mod guesses;
mod iam;
mod idempotency;
mod limits;
mod mail;
mod objects;
mod queue;
mod reconnect;
mod redis;
mod secrets;
mod sessions;
mod sessions_model;
mod table;
mod table_file;
mod task_logs;
