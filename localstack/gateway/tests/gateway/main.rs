//! The gateway's tests: fixture templates, fixture functions, no server.

mod events;
mod routing;
mod template;
