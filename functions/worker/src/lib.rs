//! Hears doorbells and runs the tasks that they ring for.

mod functions;
mod handler;
mod init;
mod node;
mod web;

pub use handler::WorkerFunction;
pub use init::{init, init_with};
