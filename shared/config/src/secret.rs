//! Text that must not be shown.

use std::fmt;

/// Values that tutorials, images and this project's local profile use; nothing but `HALYARD_ENV=local` may.
const WELL_KNOWN: [&str; 9] =
    ["admin", "admin123", "changeme", "halyard", "password", "postgres", "root", "secret", "test"];

/// A secret. `Debug` and `Display` hide it; [`Secret::expose`] does not.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Is it one of the values that everybody knows?
    pub fn is_well_known(&self) -> bool {
        WELL_KNOWN.iter().any(|known| self.0.eq_ignore_ascii_case(known))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
