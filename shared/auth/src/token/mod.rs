//! The two kinds of token. An access token is a signed JWT that says who and for how long; a refresh token is an
//! opaque secret that is worth something only together with its session record. Neither is accepted for the other.

pub mod access;
pub mod refresh;

pub use access::{AccessClaims, Grant, TokenRules, Unverified, issue, verify};
pub use refresh::{RefreshToken, RefreshTokens, RefreshVerdict};
