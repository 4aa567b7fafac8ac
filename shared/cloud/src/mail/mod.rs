//! Mail with the semantics of SES: taken or refused at once, delivered later, and at least once when a caller repeats.

pub mod limits;
mod ses;
mod twin;

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use ses::SesMailer;
pub use twin::{Kept, MailTwin};

/// A mail to one recipient, as text and as HTML.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `address`, or `Name <address>`.
    pub from: String,
    /// One address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
    /// Further headers, each one line of ASCII.
    pub headers: Vec<(String, String)>,
}

/// Why a mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// This mail will not be taken, however often it is sent.
    #[error("the mail was refused: {0}")]
    Refused(String),
    /// The service did not answer, or said that it takes none now (a quota, a pause, a setting that somebody has to mend).
    /// The mail may or may not have been taken.
    #[error("the mail service is unavailable: {0}")]
    Unavailable(String),
}

/// Sends mail.
#[async_trait]
pub trait Mailer: Send + Sync + fmt::Debug {
    /// Hands a mail over; answers with the id that the service gave it. Never tries twice: there is no way to tell a
    /// repeated mail from a new one.
    async fn send(&self, message: &Message) -> Result<String, MailError>;
}

/// The address of a sender: what stands in the angle brackets, if there are any.
pub fn address_of(sender: &str) -> &str {
    sender.rsplit_once('<').map_or(sender, |(_, rest)| rest.trim_end_matches('>')).trim()
}
