//! Health and status: `/health/*`, `/api/status`, `/api/protected`, and the answer to unknown paths (`$default`).

mod checks;
mod init;
mod routes;
mod state;

use axum::Router;
use halyard_http::{Access, HttpContext, Rate, Routes};

pub use init::init;
pub use state::AppState;

/// What this function serves.
pub fn routes() -> Routes<AppState> {
    use routes::{api_status, health_status, nodes, ping, protected};
    Routes::new()
        .get("/health/ping", Access::Public, Rate::none(), ping::handler)
        .get("/health/status", Access::Optional, Rate::per_minute(120), health_status::handler)
        .get("/health/nodes", Access::Public, Rate::per_minute(120), nodes::handler)
        .get("/api/status", Access::Public, Rate::per_minute(300), api_status::handler)
        .get("/api/protected", Access::Bearer, Rate::per_minute(300), protected::handler)
}

/// The routes over this state.
pub fn router(state: AppState, ctx: HttpContext) -> Router {
    routes().into_router(state, ctx)
}
