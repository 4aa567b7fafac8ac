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
mod list;
mod log;
mod secrets;

pub use attempt::{Claimed, Outcome, PUT_OFF, Portion, Settled, claim, overdue, settle};
pub use endpoints::{Endpoint, enable, endpoints, forget_endpoints};
pub use list::{Filter, Page, deliveries};
pub use log::{Attempt, Delivery, MOST_ATTEMPTS, Replay, delivery, replay, sweep};
pub use secrets::{NewSecret, Secret, keep_first, rotate, secrets};
