//! One file for each endpoint.

pub mod audit;
pub mod audit_head;
pub mod audit_verify;
pub mod change;
pub mod get;
pub mod list;
