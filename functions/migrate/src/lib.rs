//! The deploy step: brings the database up to date and makes the first administrator. Running it again changes nothing.

mod handler;
mod init;

pub use handler::Migrate;
pub use init::init;
