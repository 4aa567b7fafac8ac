//! Takes tasks in and tells what became of them: the endpoint group `/tasks`.

mod error;
mod gate;
mod init;
mod permitted;
mod routes;
mod state;
mod view;
mod workflow;

use axum::Router;
use halyard_http::{Access, HttpContext, Rate, Routes, openapi::Operations};

pub use init::init;
pub use state::{AppState, Parts};

/// Submitting and polling: a principal may keep a client library busy, but not the whole system.
const OFTEN: Rate = Rate::per_minute(60_000);
/// Everything that people or dashboards look at.
const NOW_AND_THEN: Rate = Rate::per_minute(6_000);

/// What this function serves.
pub fn routes() -> Routes<AppState> {
    use routes::{
        batch, bulk, cancel, chain, dead, drain, list, logs, pause, queues, result, resume, retry, schedules, stats,
        status, submit, types, webhooks, workflows,
    };
    Routes::new()
        .post("/tasks/submit", Access::Bearer, OFTEN, submit::handler)
        .keyed()
        .post("/tasks/batch", Access::Bearer, NOW_AND_THEN, batch::handler)
        .keyed()
        .post("/tasks/chain", Access::Bearer, NOW_AND_THEN, chain::handler)
        .keyed()
        .get("/tasks/workflows", Access::Bearer, NOW_AND_THEN, workflows::list::handler)
        .get("/tasks/workflows/{id}", Access::Bearer, OFTEN, workflows::get::handler)
        .post("/tasks/workflows/{id}/retry", Access::Bearer, NOW_AND_THEN, workflows::retry::handler)
        .keyed()
        .post("/tasks/workflows/{id}/cancel", Access::Bearer, NOW_AND_THEN, workflows::cancel::handler)
        .unkeyed("what is cancelled stays so: a second time is 409")
        .get("/tasks", Access::Bearer, NOW_AND_THEN, list::handler)
        .get("/tasks/types", Access::Bearer, NOW_AND_THEN, types::handler)
        .post("/tasks/retry/{id}", Access::Bearer, NOW_AND_THEN, retry::handler)
        .keyed()
        .post("/tasks/bulk/cancel", Access::Bearer, NOW_AND_THEN, bulk::cancel::handler)
        .unkeyed("what is cancelled stays so: a second time finds nothing to do")
        .post("/tasks/bulk/retry", Access::Bearer, NOW_AND_THEN, bulk::retry::handler)
        .keyed()
        .get("/tasks/dead-letters", Access::Bearer, NOW_AND_THEN, dead::list::handler)
        .post("/tasks/dead-letters/redrive", Access::Bearer, NOW_AND_THEN, dead::redrive::handler)
        .keyed()
        .get("/tasks/stats", Access::Bearer, NOW_AND_THEN, stats::handler)
        .get("/tasks/status/{id}", Access::Bearer, OFTEN, status::handler)
        .get("/tasks/result/{id}", Access::Bearer, OFTEN, result::handler)
        .get("/tasks/logs/{id}", Access::Bearer, NOW_AND_THEN, logs::handler)
        .post("/tasks/cancel/{id}", Access::Bearer, NOW_AND_THEN, cancel::handler)
        .unkeyed("it makes nothing: a task is cancelled once, and is asked to end as often as one likes")
        .get("/tasks/webhooks/deliveries", Access::Bearer, NOW_AND_THEN, webhooks::deliveries::handler)
        .get("/tasks/webhooks/deliveries/{id}", Access::Bearer, NOW_AND_THEN, webhooks::delivery::handler)
        .post("/tasks/webhooks/deliveries/{id}/replay", Access::Bearer, NOW_AND_THEN, webhooks::replay::handler)
        .unkeyed("a delivery that is owed is not owed twice: a second time is 409")
        .get("/tasks/webhooks/endpoints", Access::Bearer, NOW_AND_THEN, webhooks::endpoints::handler)
        .post("/tasks/webhooks/endpoints/enable", Access::Bearer, NOW_AND_THEN, webhooks::enable::handler)
        .unkeyed("it makes nothing: an endpoint that is enabled twice is enabled")
        .get("/tasks/queues", Access::Bearer, NOW_AND_THEN, queues::handler)
        .post("/tasks/queues/{name}/pause", Access::Bearer, NOW_AND_THEN, pause::handler)
        .unkeyed("it makes nothing: a lane that is paused twice is paused")
        .post("/tasks/queues/{name}/drain", Access::Bearer, NOW_AND_THEN, drain::handler)
        .unkeyed("it makes nothing: a lane that is drained twice is drained")
        .post("/tasks/queues/{name}/resume", Access::Bearer, NOW_AND_THEN, resume::handler)
        .unkeyed("it makes nothing: a lane that is resumed twice runs")
        .post("/tasks/schedule", Access::Bearer, NOW_AND_THEN, schedules::create::handler)
        .keyed()
        .get("/tasks/schedules", Access::Bearer, NOW_AND_THEN, schedules::list::handler)
        .get("/tasks/schedules/{id}", Access::Bearer, NOW_AND_THEN, schedules::get::handler)
        .patch("/tasks/schedules/{id}", Access::Bearer, NOW_AND_THEN, schedules::change::handler)
        .delete("/tasks/schedules/{id}", Access::Bearer, NOW_AND_THEN, schedules::delete::handler)
        .post("/tasks/schedules/{id}/run", Access::Bearer, NOW_AND_THEN, schedules::run::handler)
        .keyed()
}

/// What docs/openapi.json says of them.
pub fn operations() -> Operations<AppState> {
    use routes::{
        batch, bulk, cancel, chain, dead, drain, list, logs, pause, queues, result, resume, retry, schedules, stats,
        status, submit, types, webhooks, workflows,
    };
    Operations::of("Tasks", &routes())
        .on("POST /tasks/submit", submit::handler, submit::describe)
        .on("POST /tasks/batch", batch::handler, batch::describe)
        .on("POST /tasks/chain", chain::handler, chain::describe)
        .on("GET /tasks/workflows", workflows::list::handler, workflows::list::describe)
        .on("GET /tasks/workflows/{id}", workflows::get::handler, workflows::get::describe)
        .on("POST /tasks/workflows/{id}/retry", workflows::retry::handler, workflows::retry::describe)
        .on("POST /tasks/workflows/{id}/cancel", workflows::cancel::handler, workflows::cancel::describe)
        .on("GET /tasks", list::handler, list::describe)
        .on("GET /tasks/types", types::handler, types::describe)
        .on("GET /tasks/stats", stats::handler, stats::describe)
        .on("GET /tasks/status/{id}", status::handler, status::describe)
        .on("GET /tasks/result/{id}", result::handler, result::describe)
        .on("GET /tasks/logs/{id}", logs::handler, logs::describe)
        .on("POST /tasks/cancel/{id}", cancel::handler, cancel::describe)
        .on("POST /tasks/retry/{id}", retry::handler, retry::describe)
        .on("POST /tasks/bulk/cancel", bulk::cancel::handler, bulk::cancel::describe)
        .on("POST /tasks/bulk/retry", bulk::retry::handler, bulk::retry::describe)
        .on("GET /tasks/dead-letters", dead::list::handler, dead::list::describe)
        .on("POST /tasks/dead-letters/redrive", dead::redrive::handler, dead::redrive::describe)
        .on("GET /tasks/webhooks/deliveries", webhooks::deliveries::handler, webhooks::deliveries::describe)
        .on("GET /tasks/webhooks/deliveries/{id}", webhooks::delivery::handler, webhooks::delivery::describe)
        .on("POST /tasks/webhooks/deliveries/{id}/replay", webhooks::replay::handler, webhooks::replay::describe)
        .on("GET /tasks/webhooks/endpoints", webhooks::endpoints::handler, webhooks::endpoints::describe)
        .on("POST /tasks/webhooks/endpoints/enable", webhooks::enable::handler, webhooks::enable::describe)
        .on("GET /tasks/queues", queues::handler, queues::describe)
        .on("POST /tasks/queues/{name}/pause", pause::handler, pause::describe)
        .on("POST /tasks/queues/{name}/drain", drain::handler, drain::describe)
        .on("POST /tasks/queues/{name}/resume", resume::handler, resume::describe)
        .on("POST /tasks/schedule", schedules::create::handler, schedules::create::describe)
        .on("GET /tasks/schedules", schedules::list::handler, schedules::list::describe)
        .on("GET /tasks/schedules/{id}", schedules::get::handler, schedules::get::describe)
        .on("PATCH /tasks/schedules/{id}", schedules::change::handler, schedules::change::describe)
        .on("DELETE /tasks/schedules/{id}", schedules::delete::handler, schedules::delete::describe)
        .on("POST /tasks/schedules/{id}/run", schedules::run::handler, schedules::run::describe)
}

/// The routes over this state.
pub fn router(state: AppState, ctx: HttpContext) -> Router {
    routes().into_router(state, ctx)
}
