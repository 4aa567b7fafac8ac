//! The kinds of token. An access token is a signed JWT that says who and for how long; a refresh token is an opaque
//! secret that is worth something only together with its session record, an API key the same for programs; a mail token is one
//! that proves, once, that a mail was read. None is accepted for another.

pub mod access;
pub mod api_key;
pub mod mail;
pub mod refresh;

pub use access::{AccessClaims, Grant, TokenRules, Unverified, issue, verify};
pub use api_key::ApiKeyText;
pub use mail::MailToken;
pub use refresh::{RefreshToken, RefreshTokens, RefreshVerdict};
