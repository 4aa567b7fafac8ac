//! Users: roles, account states, and the rules for their names.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A bundle of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything (`*`).
    Admin,
    /// Sees and manages tasks and metrics of all.
    Operator,
    /// Their own things.
    User,
}

impl Role {
    /// The role's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::User => "user",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no role or account status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown name")]
pub struct UnknownName;

impl FromStr for Role {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "admin" => Ok(Self::Admin),
            "operator" => Ok(Self::Operator),
            "user" => Ok(Self::User),
            _ => Err(UnknownName),
        }
    }
}

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccountStatus {
    /// May sign in.
    Active,
    /// May not sign in; every session has ended.
    Disabled,
}

impl AccountStatus {
    /// The status' name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

impl FromStr for AccountStatus {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "active" => Ok(Self::Active),
            "disabled" => Ok(Self::Disabled),
            _ => Err(UnknownName),
        }
    }
}

/// Which rule a value breaks; the http layer turns it into `errors[].code` and `detail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleBroken {
    /// Shorter than allowed.
    #[error("must have at least {0} characters")]
    TooShort(usize),
    /// Longer than allowed.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// Characters that are not allowed.
    #[error("may only hold {0}")]
    Characters(&'static str),
    /// One that everybody uses, or that says the account's own name.
    #[error("is too common: it is among the first that anybody would guess")]
    Common,
    /// Not of the form that is asked for.
    #[error("must be {0}")]
    Form(&'static str),
}

impl RuleBroken {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooShort(_) => "too_short",
            Self::TooLong(_) => "too_long",
            Self::Characters(_) => "invalid_characters",
            Self::Common => "too_common",
            Self::Form(_) => "invalid_format",
        }
    }
}

/// A user name: 3 to 80 characters of letters, digits, `.`, `_`, `-`.
pub fn check_username(name: &str) -> Result<(), RuleBroken> {
    let n = name.chars().count();
    if n < 3 {
        return Err(RuleBroken::TooShort(3));
    }
    if n > 80 {
        return Err(RuleBroken::TooLong(80));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.chars().all(allowed).then_some(()).ok_or(RuleBroken::Characters("letters, digits, '.', '_' and '-'"))
}

/// An e-mail address: one `@` with something on either side, a dot in the domain, no white space, at most 120 characters.
pub fn check_email(email: &str) -> Result<(), RuleBroken> {
    const FORM: RuleBroken = RuleBroken::Form("an e-mail address");
    if email.chars().count() > 120 {
        return Err(RuleBroken::TooLong(120));
    }
    let (local, domain) = email.split_once('@').ok_or(FORM)?;
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '@';
    let labels_ok = domain.contains('.') && domain.split('.').all(|label| !label.is_empty());
    (!local.is_empty() && labels_ok && !email.replacen('@', "", 1).contains(bad)).then_some(()).ok_or(FORM)
}

/// A password: 8 to 128 characters of anything but control characters; no composition rules (OWASP ASVS 5, V6.2).
pub fn check_password(password: &str) -> Result<(), RuleBroken> {
    let n = password.chars().count();
    if n < 8 {
        return Err(RuleBroken::TooShort(8));
    }
    if n > 128 {
        return Err(RuleBroken::TooLong(128));
    }
    (!password.chars().any(char::is_control)).then_some(()).ok_or(RuleBroken::Characters("printable characters"))
}
