mod login;
mod logout;
mod profile;
mod refresh;
mod register;
mod revocation;
mod sessions;
mod validate;
