//! What has to happen even if nobody calls: lost doorbells are rung again, vanished attempts are followed up, mail
//! that is owed is sent, statistics are folded, and nodes that are gone are forgotten. Fires every minute; two at once do each other no harm.

mod handler;
mod init;
mod report;
mod steps;

pub use handler::Beat;
pub use init::init;
