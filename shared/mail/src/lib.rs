//! Mail to users: the words, and the way from a row to SES.
//!
//! A mail is owed by the statement that causes it (`halyard_store::mails`). [`PostOffice`] sends: at once for whoever wrote
//! the row, and for beat what is still owed then.

mod letter;
mod post_office;
mod words;

pub use letter::Letter;
pub use post_office::{Counts, Parts, PostOffice};
pub use words::letter;
