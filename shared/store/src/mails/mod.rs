//! Mail owed to users, and the tokens that travel in it.
//!
//! A mail is a row of the statement that causes it, as a doorbell is. To add a kind: a variant of
//! [`MailKind`](halyard_domain::MailKind), its words in `halyard_mail`, and in the statement
//!
//! ```sql
//! select ..., owe_mail($id, id, $kind, email, coalesce(full_name, username), at.now, $head_start, $worth) from changed, at
//! ```
//!
//! Whoever ran it then hands the id to `PostOffice::at_once`. Nothing else is needed: beat sends what is still owed.

mod outbox;
mod tokens;

pub use outbox::{Claimed, Letter, Settled, claim, count_owed, owed, settle, sweep};
pub use tokens::{Asked, Owner, Reset, ask_reset, ask_verification, owner, reset_password, verify_email};
