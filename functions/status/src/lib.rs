//! Health and status: `/health/*`, `/api/status`, `/api/protected`, the API's own document, and the answer to unknown
//! paths (`$default`).

mod checks;
mod init;
mod report;
mod routes;
mod state;

use axum::Router;
use halyard_http::{Access, HttpContext, Rate, Routes, openapi::Operations};

pub use init::init;
pub use state::AppState;

/// What this function serves.
pub fn routes() -> Routes<AppState> {
    use routes::{api_status, health_status, nodes, ping, protected, reference};
    Routes::new()
        .get("/health/ping", Access::Public, Rate::none(), ping::handler)
        .get("/health/status", Access::Optional, Rate::per_minute(120), health_status::handler)
        .get("/health/nodes", Access::Public, Rate::per_minute(120), nodes::handler)
        .get("/api/status", Access::Public, Rate::per_minute(300), api_status::handler)
        .get("/api/protected", Access::Bearer, Rate::per_minute(300), protected::handler)
        .get("/openapi.json", Access::Public, Rate::none(), reference::document)
        .get("/docs", Access::Public, Rate::none(), reference::page)
        .knowing(reference::PATHS)
}

/// What docs/openapi.json says of them.
pub fn operations() -> Operations<AppState> {
    use routes::{api_status, health_status, nodes, ping, protected, reference};
    Operations::of("Health and status", &routes())
        .on("GET /health/ping", ping::handler, ping::describe)
        .on("GET /health/status", health_status::handler, health_status::describe)
        .on("GET /health/nodes", nodes::handler, nodes::describe)
        .on("GET /api/status", api_status::handler, api_status::describe)
        .on("GET /api/protected", protected::handler, protected::describe)
        .on("GET /openapi.json", reference::document, reference::describe_document)
        .on("GET /docs", reference::page, reference::describe_page)
}

/// The routes over this state.
pub fn router(state: AppState, ctx: HttpContext) -> Router {
    routes().into_router(state, ctx)
}
