//! `OpenAPI` 3.1 out of the code: routes say path, access and limit, a handler's signature says what it takes, the types of
//! bodies say their schema, and a short `describe` beside the handler says the rest.
//!
//! Nothing of this is called by a running function, so nothing of it is linked into one: the document is made by a test,
//! committed as `docs/openapi.json` and served from there. See `docs/adr/0026-openapi.md`.

mod answer;
mod document;
mod operation;
mod operations;
mod problems;
mod schemas;
mod signature;

pub use document::{Api, Unfinished};
pub use operation::Operation;
pub use operations::{Group, Operations};
pub use schemas::Schemas;
pub use signature::{Part, Signature};
