//! One file per endpoint.

pub mod jwks;
pub mod login;
pub mod logout;
pub mod logout_all;
pub mod password;
pub mod profile;
pub mod refresh;
pub mod register;
pub mod sessions;
pub mod step_up;
pub mod two_factor;
pub mod validate;
