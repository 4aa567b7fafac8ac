//! Where a request that somebody else asked for may go: webhooks, and tasks that call out.
//!
//! [`Target`] is a URL whose form is harmless. [`Allowed`] and [`refusal_of`] judge the addresses that its host turns out to
//! have; whoever connects must ask them for each address, at the moment of connecting, and connect to one that was judged.

mod address;
mod allowed;
mod functions;
mod target;

pub use address::{AddressKind, kind_of};
pub use allowed::{Allowed, InvalidAllowed, refusal_of};
pub use functions::{Callable, InvalidCallable, is_function, is_qualifier};
pub use target::{LONGEST_URL, Target};

/// Why a request does not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than [`LONGEST_URL`], or with characters that parsers disagree about.
    #[error("must be an http or https URL of {LONGEST_URL} characters at most, without white space")]
    Malformed,
    /// Not `http` or `https`.
    #[error("must be an http or https URL of {LONGEST_URL} characters at most")]
    Scheme,
    /// A name or a password in front of the host.
    #[error("may not carry a user name or a password")]
    UserInfo,
    /// No host, or one that is a number in disguise.
    #[error("must name a host, or an address in its usual form")]
    Host,
    /// A port where something else than HTTP listens.
    #[error("may not use port {0}")]
    Port(u16),
    /// An address that is not the public's.
    #[error("leads to an address that may not be called: {0}")]
    Address(AddressKind),
}

impl Refusal {
    /// Stable, `snake_case`: for problems and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed | Self::Scheme | Self::Host => "invalid_format",
            Self::UserInfo => "user_info",
            Self::Port(_) => "forbidden_port",
            Self::Address(_) => "forbidden_address",
        }
    }
}
