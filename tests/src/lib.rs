//! The harness of the integration tests: an application for each test, actors who call it, private servers, processes.

#![allow(clippy::return_self_not_must_use, reason = "assertions on answers are statements")]

pub mod actor;
pub mod app;
pub mod builder;
pub mod database;
mod drive;
pub mod environment;
pub mod logs;
pub mod process;
pub mod proxy;
mod queries;
pub mod response;
pub mod routes;
pub mod scratch;
pub mod seed;
pub mod servers;
pub mod target;
pub mod transport;
pub mod trips;
pub mod unreliable;
pub mod wait;

pub use actor::{Actor, Draft};
pub use app::TestApp;
pub use builder::AppBuilder;
pub use database::TestDatabase;
pub use process::{HalyardProcess, halyard_program};
pub use response::TestResponse;
pub use scratch::Scratch;
pub use servers::{PrivatePostgres, PrivateRedis};
pub use target::Target;
pub use trips::Trips;
