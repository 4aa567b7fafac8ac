//! Who a caller is: tokens, keys, password hashes, sessions and the one verifier. Knows no HTTP.

pub mod principal;
pub mod verifier;

pub use principal::Principal;
pub use verifier::{AuthnError, AuthnFailure};
