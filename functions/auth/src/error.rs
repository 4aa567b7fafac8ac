//! What can go wrong here, and which problem it is.

use halyard_auth::{AuthnError, AuthnFailure, password::PasswordError};
use halyard_cloud::sessions::SessionError;
use halyard_domain::{
    UserId,
    api_key::{MOST, MOST_REMEMBERED},
    user::RuleBroken,
};
use halyard_http::{FieldError, Problem};
use halyard_store::{Constraint, StoreError};
use http::StatusCode;

/// Seconds after which a caller may try again what a dependency refused.
const RETRY_AFTER: u32 = 2;

/// Seconds after which a mailbox may be written to again.
const MAILBOX_RETRY: u32 = 60;

/// An error of this area.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The session store.
    #[error(transparent)]
    Sessions(#[from] SessionError),
    /// Hashing.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A token.
    #[error(transparent)]
    Token(#[from] AuthnError),
    /// Wrong password, no such user or an account that may not be used: nobody is told which.
    #[error("user name or password are wrong")]
    BadCredentials,
    /// The password is right; the account asks for a one-time password as well.
    #[error("a one-time password is asked for")]
    OtpRequired,
    /// The one-time password is wrong, or was used before.
    #[error("the one-time password is wrong")]
    WrongOtp,
    /// A field that was asked for once more, or for confirmation, is wrong: the password, a one-time password.
    #[error("{0} is wrong")]
    WrongField(&'static str),
    /// A field breaks a rule that needs more than the field to be known.
    #[error("{0} {1}")]
    Field(&'static str, RuleBroken),
    /// Too many failures: no attempt counts for so many seconds.
    #[error("too many failures; {0} s to wait")]
    TooEarly(u32),
    /// There is a second factor already.
    #[error("the account has a second factor")]
    HasSecondFactor,
    /// There is none, or none that was set up.
    #[error("the account has no second factor to {0}")]
    NoSecondFactor(&'static str),
    /// What is stored as a second factor cannot be read with the present key.
    #[error("the second factor of user {0} cannot be decrypted")]
    Undecipherable(UserId),
    /// A key pair could not be made, which never happens.
    #[error("no key pair could be made")]
    NoKeys,
    /// The new password is the old one.
    #[error("the new password is the present one")]
    SamePassword,
    /// The password was changed; that sessions of the old one have ended is not out yet.
    #[error("the sessions were not told of the new password: {0}")]
    SessionsOwed(Box<Self>),
    /// All sessions are to end; that they have ended is not out yet.
    #[error("the sessions were not told that they have ended: {0}")]
    EndsOwed(Box<Self>),
    /// A token from a mail that is good for nothing: unknown, used, replaced by a newer one, expired, or of an account that
    /// has become another one since. Nobody is told which.
    #[error("the token is good for nothing")]
    BadMailToken,
    /// The caller's address is verified already.
    #[error("the address is verified")]
    AlreadyVerified,
    /// The caller's mailbox was written to too often.
    #[error("too many mails to one mailbox")]
    MailboxFull,
    /// The account or session that the caller's token names is gone.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// `If-Match` names another version.
    #[error("the profile was changed meanwhile")]
    VersionMismatch,
    /// The preferences would become larger than they may be.
    #[error("the preferences would become too large")]
    PreferencesTooLarge,
    /// This environment holds no private key that the key set lets sign.
    #[error("none of the private keys may sign")]
    NoSigner,
    /// The user has as many API keys as they may.
    #[error("too many API keys")]
    TooManyKeys,
    /// The request was carried out before, as far as making the key; nobody but the first was shown it.
    #[error("the key was made by an earlier request")]
    MadeBefore,
    /// Somebody else kept changing the same thing.
    #[error("too many changes at once")]
    Contended,
}

impl From<AuthnFailure> for AuthError {
    fn from(failure: AuthnFailure) -> Self {
        Self::Token(failure.into())
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Store(StoreError::Conflict(constraint)) => taken(constraint),
            AuthError::Store(error @ StoreError::Unavailable(_)) => down("the database is unavailable", &error),
            AuthError::Store(error @ StoreError::Internal(_)) => Self::internal(&error),
            AuthError::Sessions(error @ SessionError::Unavailable(_)) => {
                down("the session store is unavailable", &error)
            }
            AuthError::Sessions(error @ SessionError::Unexpected(_)) => Self::internal(&error),
            AuthError::Sessions(SessionError::Conflict) | AuthError::Contended => {
                Self::unavailable("the same thing was changed at the same time; try again", 1)
            }
            AuthError::Password(error @ PasswordError::Busy) => down("too many sign-ins at once", &error),
            AuthError::Password(error @ (PasswordError::Stored | PasswordError::Parameters(_))) => {
                Self::internal(&error)
            }
            AuthError::Token(AuthnError::Failure(failure)) => Self::unauthorized(failure),
            AuthError::Token(error @ AuthnError::Unavailable(_)) => down("sessions or keys cannot be read", &error),
            AuthError::TooManyKeys => {
                let detail = format!(
                    "an account has {MOST} API keys at most, {MOST_REMEMBERED} with those that it deleted within a day"
                );
                Self::conflict("too_many_api_keys", detail)
            }
            AuthError::MadeBefore => {
                let detail = "the key was made, and only the first answer showed it; delete it and make another";
                Self::conflict("idempotency_answer_not_kept", detail)
            }
            AuthError::NoSigner => down("no tokens can be issued", &error),
            AuthError::BadCredentials => {
                Self::new(StatusCode::UNAUTHORIZED, "invalid_credentials", "user name or password are wrong")
            }
            AuthError::OtpRequired => {
                let detail = "the account asks for a one-time password beside the password: send it as otp";
                Self::new(StatusCode::UNAUTHORIZED, "otp_required", detail)
            }
            AuthError::WrongOtp => {
                Self::new(StatusCode::UNAUTHORIZED, "invalid_otp", "the one-time password is wrong or was used before")
            }
            AuthError::WrongField(pointer) => {
                Self::unprocessable(vec![FieldError::new(pointer, "wrong", "is not what the account has")])
            }
            AuthError::Field(pointer, rule) => {
                Self::unprocessable(vec![FieldError::new(pointer, rule.code(), rule.to_string())])
            }
            AuthError::TooEarly(seconds) => {
                let detail = "too many failures; the next attempt counts after a while";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", detail).with_retry_after(seconds)
            }
            AuthError::HasSecondFactor => {
                Self::conflict("two_factor_enabled", "the account has a second factor; remove it first")
            }
            AuthError::NoSecondFactor(what) => {
                Self::conflict("two_factor_missing", format!("the account has no second factor to {what}"))
            }
            AuthError::Undecipherable(_) | AuthError::NoKeys => Self::internal(&error),
            AuthError::SamePassword => {
                let detail = "is the password that the account has already";
                Self::unprocessable(vec![FieldError::new("/new_password", "unchanged", detail)])
            }
            AuthError::SessionsOwed(error) => {
                down("the password was changed; sessions that the old one opened end within two minutes", &error)
            }
            AuthError::EndsOwed(error) => down("the sessions end within two minutes; it is not confirmed yet", &error),
            AuthError::BadMailToken => {
                let detail = "is unknown, used, replaced by a newer one, or has expired";
                Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "token_invalid",
                    "the token from the mail is not good any more",
                )
                .with_errors(vec![FieldError::new("/token", "token_invalid", detail)])
            }
            AuthError::AlreadyVerified => Self::conflict("already_verified", "the e-mail address is verified already"),
            AuthError::MailboxFull => Self::too_many(MAILBOX_RETRY),
            AuthError::NotFound(what) => Self::not_found(format!("there is no such {what}")),
            AuthError::PreferencesTooLarge => {
                let detail = "may have at most 16 KiB of JSON text, merged";
                Self::unprocessable(vec![FieldError::new("/preferences", "too_long", detail)])
            }
            AuthError::VersionMismatch => Self::precondition_failed("the profile was changed since it was read"),
        }
    }
}

fn down(detail: &'static str, error: &dyn std::error::Error) -> Problem {
    Problem::unavailable(detail, RETRY_AFTER).with_source(error.to_string())
}

fn taken(constraint: Constraint) -> Problem {
    let (code, pointer, detail) = match constraint {
        Constraint::UsernameTaken => ("username_taken", "/username", "is taken by another account"),
        Constraint::EmailTaken => ("email_taken", "/email", "is taken by another account"),
        Constraint::TaskIdTaken
        | Constraint::WorkflowIdTaken
        | Constraint::SchedulePlaceTaken
        | Constraint::LaneDraining => {
            return Problem::internal_text("a task's constraint in an account's statement");
        }
    };
    Problem::conflict(code, constraint.to_string()).with_errors(vec![FieldError::new(pointer, "taken", detail)])
}
