//! Accounts, tokens, sessions: the endpoint group `/auth/*` and the published keys.

mod audited;
mod epochs;
mod error;
mod fields;
mod gate;
mod init;
pub mod merge_patch;
mod new_password;
mod reauthenticate;
mod routes;
mod second_factor;
mod session_change;
mod sign_in;
mod state;
mod view;

use axum::Router;
use halyard_http::{Access, HttpContext, Rate, Routes};

pub use init::init;
pub use state::AppState;

/// What this function serves.
pub fn routes() -> Routes<AppState> {
    use routes::{
        api_keys, forgot, jwks, login, logout, logout_all, page, password, profile, refresh, register, reset, sessions,
        step_up, two_factor, validate, verification, verify,
    };
    Routes::new()
        .post("/auth/register", Access::Public, Rate::per_minute(5), register::handler)
        .post("/auth/login", Access::Public, Rate::per_account(5), login::handler)
        .post("/auth/refresh", Access::Public, Rate::per_account(10), refresh::handler)
        .get("/auth/validate", Access::Public, Rate::none(), validate::handler)
        .get("/auth/profile", Access::Bearer, Rate::per_minute(50), profile::get)
        .put("/auth/profile", Access::Bearer, Rate::per_minute(50), profile::put)
        .post("/auth/logout", Access::Bearer, Rate::per_minute(20), logout::handler)
        .post("/auth/logout-all", Access::Bearer, Rate::per_minute(20), logout_all::handler)
        .post("/auth/password", Access::Bearer, Rate::per_minute(5), password::handler)
        .post("/auth/password/forgot", Access::Public, Rate::per_account(5), forgot::handler)
        .get("/auth/password/reset", Access::Public, Rate::none(), page::reset)
        .post("/auth/password/reset", Access::Public, Rate::per_minute(5), reset::handler)
        .get("/auth/email/verify", Access::Public, Rate::none(), page::verify)
        .post("/auth/email/verify", Access::Public, Rate::per_minute(10), verify::handler)
        .post("/auth/email/verification", Access::Bearer, Rate::per_minute(5), verification::handler)
        .post("/auth/step-up", Access::Bearer, Rate::per_minute(5), step_up::handler)
        .get("/auth/2fa", Access::Bearer, Rate::per_minute(20), two_factor::status)
        .post("/auth/2fa/setup", Access::Bearer, Rate::per_minute(5), two_factor::setup)
        .post("/auth/2fa/confirm", Access::Bearer, Rate::per_minute(5), two_factor::confirm)
        .post("/auth/2fa/recovery-codes", Access::Bearer, Rate::per_minute(5), two_factor::recovery_codes)
        .delete("/auth/2fa", Access::Bearer, Rate::per_minute(5), two_factor::remove)
        .get("/auth/sessions", Access::Bearer, Rate::per_minute(50), sessions::list)
        .delete("/auth/sessions/{id}", Access::Bearer, Rate::per_minute(50), sessions::end)
        .post("/auth/api-keys", Access::Bearer, Rate::per_minute(20), api_keys::create)
        .get("/auth/api-keys", Access::Bearer, Rate::per_minute(20), api_keys::list)
        .delete("/auth/api-keys/{id}", Access::Bearer, Rate::per_minute(20), api_keys::delete)
        .get("/.well-known/jwks.json", Access::Public, Rate::none(), jwks::handler)
}

/// The routes over this state.
pub fn router(state: AppState, ctx: HttpContext) -> Router {
    routes().into_router(state, ctx)
}
