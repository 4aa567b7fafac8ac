//! The statements themselves, each against a scratch database of its own.

mod accounts;
mod intake;
mod lists;
mod plans;
mod rds_proxy;
pub mod scratch;
mod statistics;
mod tasks;
mod turns;
mod webhook_lists;
mod webhooks;
mod workflows;
