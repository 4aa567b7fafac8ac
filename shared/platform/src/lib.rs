//! The composition root: the one place where a profile chooses adapters, and the shape that every function has, so
//! that the same function runs on Lambda, under `cargo lambda watch` and inside the local gateway.

pub mod function;
mod host;
mod keys;
pub mod lambda;
mod limiter;
mod node;
mod secrets;
mod sessions;
mod token_keys;

pub use function::{Answer, Event, Function, FunctionError, Handler, Invocation};
pub use host::{Host, InitError, Twins};
pub use keys::StoredKeys;
pub use limiter::RedisLimiter;
pub use node::{HostUsage, Node};
pub use sessions::VerifierSessions;
pub use token_keys::StoredKeySet;
