//! Mail: from what causes it to the mailbox.

mod inbox;
mod outbox;
