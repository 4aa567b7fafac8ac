//! One file per endpoint.

pub mod api_keys;
pub mod forgot;
pub mod jwks;
pub mod login;
pub mod logout;
pub mod logout_all;
pub mod page;
pub mod password;
pub mod profile;
pub mod refresh;
pub mod register;
pub mod reset;
pub mod sessions;
pub mod step_up;
pub mod two_factor;
pub mod validate;
pub mod verification;
pub mod verify;
pub mod webhook_secret;
