//! The gateway's tests: fixture templates and fixture functions, and no server but its own.

mod environments;
mod events;
mod http;
mod lambda_api;
mod queues;
mod routing;
mod support;
mod template;
