//! The composition root: the one place where a profile chooses adapters, and the shape that every function has, so
//! that the same function runs on Lambda, under `cargo lambda watch` and inside the local gateway.

pub mod function;
