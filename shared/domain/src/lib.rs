//! The nouns and decisions of Halyard: identifiers, states and their transitions, policies, the clock.
//!
//! Nothing here performs I/O, is asynchronous or knows a framework. Every rule that decides something
//! (may this task move to that state, when does it run again, may this caller do that) is a pure function in
//! this crate, so that it can be tested with tables and properties.

pub mod api_calls;
pub mod api_key;
pub mod audit;
pub mod authz;
pub mod clock;
pub mod entropy;
pub mod failure;
pub mod guesses;
pub mod histogram;
pub mod idempotency;
pub mod ids;
pub mod lane;
pub mod mail;
pub mod outbound;
pub mod retry;
pub mod rights;
pub mod schedule;
pub mod session;
pub mod task;
pub mod user;
pub mod webhook;
pub mod workflow;

pub use clock::{Clock, ManualClock, SystemClock};
pub use entropy::Entropy;
pub use ids::{ApiKeyId, DeliveryId, MailId, NodeId, RequestId, ScheduleId, SessionId, TaskId, UserId, WorkflowId};
pub use lane::{Lane, Priority};
pub use mail::MailKind;
