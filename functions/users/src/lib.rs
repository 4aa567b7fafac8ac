//! Looks after the accounts of others, and shows what was done by whom: the endpoint groups `/api/users` and `/api/audit`.

mod error;
mod init;
mod list;
mod routes;
mod state;
mod view;

use axum::Router;
use halyard_http::{Access, HttpContext, Rate, Routes, openapi::Operations};

pub use init::init;
pub use state::{AppState, Parts};

/// What this function serves.
pub fn routes() -> Routes<AppState> {
    use routes::{audit, audit_head, audit_verify, change, get, list};
    Routes::new()
        .get("/api/users", Access::Bearer, Rate::per_minute(50), list::handler)
        .get("/api/users/{id}", Access::Bearer, Rate::per_minute(100), get::handler)
        .patch("/api/users/{id}", Access::Bearer, Rate::per_minute(50), change::handler)
        .get("/api/audit", Access::Bearer, Rate::per_minute(50), audit::handler)
        .get("/api/audit/head", Access::Bearer, Rate::per_minute(50), audit_head::handler)
        .get("/api/audit/verify", Access::Bearer, Rate::per_minute(50), audit_verify::handler)
}

/// What docs/openapi.json says of them.
pub fn operations() -> Operations<AppState> {
    use routes::{audit, audit_head, audit_verify, change, get, list};
    Operations::of("Users and audit", &routes())
        .on("GET /api/users", list::handler, list::describe)
        .on("GET /api/users/{id}", get::handler, get::describe)
        .on("PATCH /api/users/{id}", change::handler, change::describe)
        .on("GET /api/audit", audit::handler, audit::describe)
        .on("GET /api/audit/head", audit_head::handler, audit_head::describe)
        .on("GET /api/audit/verify", audit_verify::handler, audit_verify::describe)
}

/// The routes over this state.
pub fn router(state: AppState, ctx: HttpContext) -> Router {
    routes().into_router(state, ctx)
}
