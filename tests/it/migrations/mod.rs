//! Expand, then contract: a schema serves the release that brings it and the one before, so that both may run at once
//! and a roll-back needs no database.

mod applying;
pub mod blank;
mod order;
pub mod released;
mod rules;
mod statements;
