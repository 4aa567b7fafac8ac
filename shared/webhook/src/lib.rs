//! The HTTP client for requests that somebody else asked for: webhooks, and tasks that call out.
//!
//! What makes it safe to let strangers name the target: `domain::outbound` judges the URL and every address that its host
//! has; the connection goes to an address that was judged, so that a name which answers differently the next time gains
//! nothing; redirects are handed back, never followed; every request has a connection of its own, a time limit over
//! everything, and a bound on what is kept of the answer. Nothing outlives [`Outbound::send`].

mod client;
mod resolve;
mod tls;
mod wire;

pub use client::{Answer, GuardedClient, Limits, Outbound, Outgoing, SendError};
pub use resolve::{Resolve, SystemResolver};
