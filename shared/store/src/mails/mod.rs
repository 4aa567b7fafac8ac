//! Mail owed to users, and the tokens that travel in it.
//!
//! A mail is a row of the statement that causes it, as a doorbell is. To add a kind: a variant of
//! [`MailKind`](halyard_domain::MailKind), its words in `halyard_mail`, and in the statement
//!
//! ```sql
//! mailed as (
//!     insert into mails (id, user_id, kind, recipient, name, created_at, due_at, until)
//!     select $id, c.id, $kind, c.email, coalesce(c.full_name, c.username), at.now,
//!            at.now + make_interval(secs => $head_start), at.now + make_interval(secs => $worth)
//!     from changed c, at
//! )
//! ```
//!
//! Whoever ran it then hands the id to `PostOffice::at_once`. Nothing else is needed: beat sends what is still owed.

mod outbox;
mod tokens;

pub use outbox::{Claimed, Letter, Settled, claim, count_owed, owed, settle, sweep};
pub use tokens::{Asked, Owner, Reset, ask_reset, ask_verification, owner, reset_password, verify_email};
