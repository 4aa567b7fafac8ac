//! Mail to users: the kinds, how long each is worth sending, and when one that could not be sent is tried again.

use std::{fmt, str::FromStr};

use chrono::Duration;

/// What a mail is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MailKind {
    /// Asks whether the address is the account's: carries a token.
    VerifyEmail,
    /// Lets whoever reads it set a new password: carries a token.
    ResetPassword,
    /// Tells that the password is another one.
    PasswordChanged,
    /// Tells the address that the account had before that it has another one.
    EmailChanged,
    /// Tells the owner of a verified address that another account claims it.
    AddressClaimed,
    /// Tells that nothing is sent to one of the user's webhooks any more.
    WebhookDisabled,
}

/// A text that names no kind of mail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no kind of mail {0:?}")]
pub struct UnknownMailKind(String);

impl MailKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::VerifyEmail,
        Self::ResetPassword,
        Self::PasswordChanged,
        Self::EmailChanged,
        Self::AddressClaimed,
        Self::WebhookDisabled,
    ];

    /// The name in the database; of a kind with a token, also the token's purpose.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::PasswordChanged => "password_changed",
            Self::EmailChanged => "email_changed",
            Self::AddressClaimed => "address_claimed",
            Self::WebhookDisabled => "webhook_disabled",
        }
    }

    /// How long the token that it carries is good, from when it is sent; `None` for a kind without one.
    pub fn token_life(self) -> Option<Duration> {
        match self {
            Self::VerifyEmail => Some(Duration::hours(24)),
            Self::ResetPassword => Some(Duration::minutes(30)),
            Self::PasswordChanged | Self::EmailChanged | Self::AddressClaimed | Self::WebhookDisabled => None,
        }
    }

    /// How long after what caused it the mail is still worth sending.
    pub fn worth(self) -> Duration {
        match self {
            // Whoever asked for it has asked again by then.
            Self::ResetPassword => Duration::minutes(30),
            Self::VerifyEmail
            | Self::PasswordChanged
            | Self::EmailChanged
            | Self::AddressClaimed
            | Self::WebhookDisabled => Duration::hours(24),
        }
    }
}

impl fmt::Display for MailKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MailKind {
    type Err = UnknownMailKind;
    fn from_str(text: &str) -> Result<Self, UnknownMailKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownMailKind(text.to_owned()))
    }
}

/// Whoever writes a mail down sends it at once; beat takes those that are still owed after so long.
pub const HEAD_START: Duration = Duration::seconds(30);

/// Attempts after which a mail is given up.
pub const MOST_ATTEMPTS: i16 = 12;

/// How long after attempt number `attempt` (1 is the first) has failed the next one follows; `None` when there is none.
/// A minute, doubling to an hour; beat, which makes it, fires every minute.
pub fn next_attempt(attempt: i16) -> Option<Duration> {
    if !(1..MOST_ATTEMPTS).contains(&attempt) {
        return None;
    }
    let doublings = u32::from(attempt.unsigned_abs() - 1).min(6);
    Some(Duration::minutes((1 << doublings).min(60)))
}
