//! Who a caller is: tokens, keys, password hashes, sessions and the one verifier. Knows no HTTP.

pub mod account_key;
pub mod common_passwords;
pub mod context;
pub mod encoding;
mod hashing_threads;
pub mod keys;
pub mod otp;
pub mod password;
pub mod principal;
pub mod token;
pub mod verifier;
pub mod webhook;

pub use keys::{KeySet, Keys, SigningKey, SigningKeys};
pub use principal::{Credential, Principal};
pub use verifier::{AuthnError, AuthnFailure, Verifier};
