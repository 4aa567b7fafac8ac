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
use halyard_http::{Access, HttpContext, Rate, Routes, openapi::Operations};

pub use init::init;
pub use state::AppState;

/// What this function serves.
pub fn routes() -> Routes<AppState> {
    use routes::{
        api_keys, forgot, jwks, login, logout, logout_all, page, password, profile, refresh, register, reset, sessions,
        step_up, two_factor, validate, verification, verify, webhook_secret,
    };
    Routes::new()
        .post("/auth/register", Access::Public, Rate::per_minute(5), register::handler)
        .unkeyed("nobody is known yet whose key it could be, and a name that is taken makes no second account")
        .post("/auth/login", Access::Public, Rate::per_account(5), login::handler)
        .unkeyed("its answer carries tokens")
        .post("/auth/refresh", Access::Public, Rate::per_account(10), refresh::handler)
        .unkeyed("its answer carries tokens, and a token may be used again for a moment")
        .get("/auth/validate", Access::Public, Rate::none(), validate::handler)
        .get("/auth/profile", Access::Bearer, Rate::per_minute(50), profile::get)
        .put("/auth/profile", Access::Bearer, Rate::per_minute(50), profile::put)
        .post("/auth/logout", Access::Bearer, Rate::per_minute(20), logout::handler)
        .unkeyed("it makes nothing: what has ended has ended")
        .post("/auth/logout-all", Access::Bearer, Rate::per_minute(20), logout_all::handler)
        .unkeyed("it makes nothing: what has ended has ended")
        .post("/auth/password", Access::Bearer, Rate::per_minute(5), password::handler)
        .unkeyed("it makes nothing: the old password is good for one change")
        .post("/auth/password/forgot", Access::Public, Rate::per_account(5), forgot::handler)
        .unkeyed("nobody is known whose key it could be; a mailbox gets one mail a minute")
        .get("/auth/password/reset", Access::Public, Rate::none(), page::reset)
        .post("/auth/password/reset", Access::Public, Rate::per_minute(5), reset::handler)
        .unkeyed("its token is good for one change")
        .get("/auth/email/verify", Access::Public, Rate::none(), page::verify)
        .post("/auth/email/verify", Access::Public, Rate::per_minute(10), verify::handler)
        .unkeyed("its token is good once")
        .post("/auth/email/verification", Access::Bearer, Rate::per_minute(5), verification::handler)
        .unkeyed("a mailbox gets one mail a minute")
        .post("/auth/step-up", Access::Bearer, Rate::per_minute(5), step_up::handler)
        .unkeyed("its answer carries a token")
        .get("/auth/2fa", Access::Bearer, Rate::per_minute(20), two_factor::status)
        .post("/auth/2fa/setup", Access::Bearer, Rate::per_minute(5), two_factor::setup)
        .unkeyed("its answer carries a secret, which replaces the one before")
        .post("/auth/2fa/confirm", Access::Bearer, Rate::per_minute(5), two_factor::confirm)
        .unkeyed("its answer carries recovery codes, and a setup is confirmed once")
        .post("/auth/2fa/recovery-codes", Access::Bearer, Rate::per_minute(5), two_factor::recovery_codes)
        .unkeyed("its answer carries recovery codes, which replace the ones before")
        .delete("/auth/2fa", Access::Bearer, Rate::per_minute(5), two_factor::remove)
        .get("/auth/sessions", Access::Bearer, Rate::per_minute(50), sessions::list)
        .delete("/auth/sessions/{id}", Access::Bearer, Rate::per_minute(50), sessions::end)
        .post("/auth/api-keys", Access::Bearer, Rate::per_minute(20), api_keys::create)
        .keyed_secret()
        .get("/auth/api-keys", Access::Bearer, Rate::per_minute(20), api_keys::list)
        .delete("/auth/api-keys/{id}", Access::Bearer, Rate::per_minute(20), api_keys::delete)
        .get("/tasks/webhooks/secret", Access::Bearer, Rate::per_minute(20), webhook_secret::show)
        .post("/tasks/webhooks/secret/rotate", Access::Bearer, Rate::per_minute(5), webhook_secret::rotate)
        .unkeyed("its answer carries a secret, which takes the place of the one before")
        .get("/.well-known/jwks.json", Access::Public, Rate::none(), jwks::handler)
}

/// What docs/openapi.json says of them.
pub fn operations() -> Operations<AppState> {
    use routes::{
        api_keys, forgot, jwks, login, logout, logout_all, page, password, profile, refresh, register, reset, sessions,
        step_up, two_factor, validate, verification, verify, webhook_secret,
    };
    Operations::of("Accounts and tokens", &routes())
        .on("POST /auth/register", register::handler, register::describe)
        .on("POST /auth/login", login::handler, login::describe)
        .on("POST /auth/refresh", refresh::handler, refresh::describe)
        .on("GET /auth/validate", validate::handler, validate::describe)
        .on("GET /auth/profile", profile::get, profile::describe_get)
        .on("PUT /auth/profile", profile::put, profile::describe_put)
        .on("POST /auth/logout", logout::handler, logout::describe)
        .on("POST /auth/logout-all", logout_all::handler, logout_all::describe)
        .on("POST /auth/password", password::handler, password::describe)
        .on("POST /auth/password/forgot", forgot::handler, forgot::describe)
        .on("GET /auth/password/reset", page::reset, page::describe_reset)
        .on("POST /auth/password/reset", reset::handler, reset::describe)
        .on("GET /auth/email/verify", page::verify, page::describe_verify)
        .on("POST /auth/email/verify", verify::handler, verify::describe)
        .on("POST /auth/email/verification", verification::handler, verification::describe)
        .on("POST /auth/step-up", step_up::handler, step_up::describe)
        .on("GET /auth/2fa", two_factor::status, two_factor::describe_status)
        .on("POST /auth/2fa/setup", two_factor::setup, two_factor::describe_setup)
        .on("POST /auth/2fa/confirm", two_factor::confirm, two_factor::describe_confirm)
        .on("POST /auth/2fa/recovery-codes", two_factor::recovery_codes, two_factor::describe_recovery_codes)
        .on("DELETE /auth/2fa", two_factor::remove, two_factor::describe_remove)
        .on("POST /auth/api-keys", api_keys::create, api_keys::describe_create)
        .on("GET /auth/api-keys", api_keys::list, api_keys::describe_list)
        .on("DELETE /auth/api-keys/{id}", api_keys::delete, api_keys::describe_delete)
        .on("GET /auth/sessions", sessions::list, sessions::describe_list)
        .on("DELETE /auth/sessions/{id}", sessions::end, sessions::describe_end)
        .on("GET /tasks/webhooks/secret", webhook_secret::show, webhook_secret::describe_show)
        .on("POST /tasks/webhooks/secret/rotate", webhook_secret::rotate, webhook_secret::describe_rotate)
        .on("GET /.well-known/jwks.json", jwks::handler, jwks::describe)
}

/// The routes over this state.
pub fn router(state: AppState, ctx: HttpContext) -> Router {
    routes().into_router(state, ctx)
}
