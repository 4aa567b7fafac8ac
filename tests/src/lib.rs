//! The harness of the integration tests: an application for each test, actors who call it, private servers, processes.

#![allow(clippy::return_self_not_must_use, reason = "assertions on answers are statements")]

mod accounts;
pub mod actor;
pub mod app;
pub mod builder;
pub mod cluster;
pub mod cold;
pub mod conformity;
#[cfg(feature = "containers")]
mod containers;
pub mod database;
mod drive;
pub mod emulator;
pub mod environment;
pub mod granted;
pub mod left_out;
pub mod logs;
mod mailbox;
pub mod nginx;
pub mod nginx_routes;
pub mod openapi;
pub mod process;
pub mod proxy;
mod queries;
pub mod receiver;
pub mod recorder;
pub mod redis_cluster;
pub mod response;
pub mod routes;
pub mod scratch;
pub mod scripted_node;
pub mod seed;
pub mod servers;
pub mod stack;
pub mod target;
pub mod tls;
pub mod transport;
pub mod trips;
pub mod unreliable;
pub mod unreliable_table;
pub mod wait;

pub use actor::{Actor, Draft, PASSWORD};
pub use app::TestApp;
pub use builder::AppBuilder;
pub use cluster::Cluster;
pub use database::TestDatabase;
pub use left_out::Profile;
pub use nginx::Nginx;
pub use process::{HalyardProcess, halyard_program};
pub use receiver::{Heard, Receiver, Reply};
pub use response::TestResponse;
pub use scratch::Scratch;
pub use scripted_node::ScriptedNode;
pub use servers::{PrivatePostgres, PrivateRedis};
pub use target::Target;
pub use trips::Trips;
