//! Webhooks: what is owed, what became of it, the users' URLs and secrets.
//!
//! What causes an event writes the delivery in its own statement: a trigger does it for tasks, other sources call
//!
//! ```sql
//! select ..., owe_delivery('workflow', id, user_id, state, 0, url, at.now, json_build_object(...)) from ended, at
//! ```
//!
//! Whoever committed it then rings `halyard_cloud::CallbackBell` once; beat rings for what is overdue.

mod attempt;
mod endpoints;
mod log;
mod secrets;

pub use attempt::{Claimed, Outcome, Portion, Settled, claim, overdue, settle};
pub use endpoints::{Endpoint, enable, endpoints};
pub use log::{Attempt, Delivery, Filter, MOST_ATTEMPTS, Replay, deliveries, delivery, replay, sweep};
pub use secrets::{NewSecret, Secret, keep_first, rotate, secrets};
