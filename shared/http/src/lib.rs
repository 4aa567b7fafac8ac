//! What every HTTP function shares: routes that know their access and limits, one guard in front of every handler,
//! extractors, problem details, telemetry.
//!
//! A function lists its routes with [`Routes`], which records them for the test that compares code and template, and
//! puts [`guard`] in front of each handler: identity, limits, headers, compression, logging and panics in one pass.
//! The caller comes from `requestContext.authorizer.lambda` and from nothing else.

mod compress;
mod context;
mod envelope;
pub mod extract;
mod gcra;
pub mod guard;
mod idempotency;
pub mod if_match;
mod limit;
pub mod openapi;
mod problem;
mod request;
mod routes;
pub mod telemetry;
mod throttle;
mod time;
mod trace;
mod validate;
mod vitals;

pub use context::HttpContext;
pub use envelope::{Items, Success, success};
pub use extract::{
    AppPath, AppQuery, Caller, ClientAddress, Cursor, Lenient, MaybeCaller, MaybeValid, MetricsRead, PageQuery,
    Permitted, Requirement, STEP_UP, SessionCaller, SteppedUp, SystemManage, TasksManageAll, UsersRead, UsersWrite,
    Valid, stepped_up,
};
pub use gcra::LocalLimiter;
pub use idempotency::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED, IdempotencyKeys, KeysDown, NewIds};
pub use limit::{Decision, Limit, Limiter, LimiterDown, Outcome, Visit, rate_limit, rate_limit_policy};
pub use problem::{ApiResult, FieldError, Problem};
pub use request::RequestInfo;
pub use routes::{Access, Rate, Repeats, RouteInfo, Routes};
pub use throttle::Throttle;
pub use time::{is_rfc3339, rfc3339};
pub use trace::TraceContext;
pub use validate::{Validate, Violations};
pub use vitals::{Vitals, vitals};
