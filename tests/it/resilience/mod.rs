//! Things break. What was accepted is not lost, nothing ends twice, and the answers meanwhile are right or 503.

mod capacity;
mod database;
mod lanes;
mod nodes;
mod process;
mod queue;
mod redis;
mod worker;
