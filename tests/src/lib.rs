//! The harness of the integration tests: an application for each test, actors who call it, private servers, processes.

pub mod actor;
pub mod database;
pub mod environment;
pub mod process;
pub mod response;
pub mod routes;
pub mod scratch;
pub mod seed;
pub mod servers;
pub mod transport;
pub mod wait;

pub use actor::{Actor, Draft};
pub use database::TestDatabase;
pub use process::{HalyardProcess, halyard_program};
pub use response::TestResponse;
pub use scratch::Scratch;
pub use servers::{PrivatePostgres, PrivateRedis};
