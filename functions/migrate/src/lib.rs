//! The deploy step: brings the database up to date and makes the first administrator, publishes token keys that are new. Running it
//! again changes nothing. An operator asks it to rotate keys ([`Command`]).

mod handler;
mod init;
mod keys;

pub use handler::Migrate;
pub use init::init;
pub use keys::Command;
