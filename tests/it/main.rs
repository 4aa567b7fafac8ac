//! Integration tests, by noun and verb. They run against PostgreSQL and Redis: `make test`.

mod anonymous;
mod architecture;
mod audit;
mod auth;
mod backups;
mod canary;
mod contract;
mod data_stack;
mod docker;
mod e2e;
mod emulated;
mod fidelity;
mod grants;
mod idempotency;
mod mail;
mod migrations;
mod nginx;
mod openapi;
mod redis_cluster;
mod resilience;
mod round_trips;
mod schedules;
mod security;
mod simulation;
mod status;
mod store;
mod tasks;
mod template;
mod tracing_ids;
mod users;
mod watch;
mod webhooks;
mod workflows;

/// Compares an answer with the snapshot of this name, beside the test's file.
#[macro_export]
macro_rules! assert_snapshot {
    ($name:expr, $answer:expr) => {
        let shown = $answer.snapshot();
        insta::with_settings!({omit_expression => true}, {
            insta::assert_json_snapshot!($name, shown);
        });
    };
}
