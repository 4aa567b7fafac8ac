//! API Gateway, event source mapping and scheduler on one machine, run from `infra/template.yaml`.
//!
//! [`template`] reads the template. [`Gateway::start`] plays it: requests go through route, throttle, authorizer and
//! function; queues are polled; schedules fire. Functions are invoked through [`Invoke`]: in process, where each has
//! execution environments of its own, or over the Lambda Invoke API.

pub mod authorizer;
pub mod bare;
mod client;
mod config;
mod cors;
mod course;
mod door;
mod encoding;
mod environment_vars;
mod error;
pub mod esm;
pub mod event;
pub mod functions;
mod gateway;
mod inbox;
pub mod invoke;
pub mod local;
mod objects;
pub mod routing;
mod running;
mod scheduler;
mod server;
pub mod template;
pub mod throttle;

pub use client::{InvalidNetwork, TrustedPeers};
pub use config::{GatewayConfig, InvokeConfig};
pub use error::GatewayError;
pub use inbox::{EmulatorInbox, Inbox};
pub use invoke::{Capacity, Counts, Invoke, InvokeError, Limits, Naming, Registry};
pub use running::{Gateway, RunningGateway};
