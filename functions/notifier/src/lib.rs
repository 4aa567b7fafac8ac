//! Hears doorbells and delivers the webhooks that are due.

mod body;
mod handler;
mod init;
mod keys;
mod post;
mod posts;
mod round;

pub use handler::Notifier;
pub use init::{init, init_with};
