//! `infra/template.yaml`, as far as one machine can play it.
//!
//! A [`Template`] is the text, parsed. [`Template::resolve`] gives it parameters and a place to live and makes a
//! [`Stack`]: routes, authorizers, functions with their environment, queues, event source mappings, tables, buckets and
//! schedules, with every reference resolved. What the gateway does not know is refused by name, because a property that
//! is ignored here would behave differently on AWS.

mod api;
mod bucket;
mod document;
mod error;
mod events;
mod function;
mod grants;
mod lenient;
mod model;
mod resolve;
mod schedule;
mod stack;
mod storage;

pub use document::Template;
pub use error::TemplateError;
pub use grants::{Grants, Statement};
pub use model::{
    Api, Authorizer, BatchRules, BucketSpec, Cors, EnvValue, EventSourceMapping, FunctionSpec, QueueSpec, Redrive,
    Route, RouteKey, ScheduleExpression, ScheduleKind, ScheduleSpec, Stack, Stage, TableSpec, Throttle,
};
pub use resolve::Inputs;
pub use schedule::ParseScheduleError;
