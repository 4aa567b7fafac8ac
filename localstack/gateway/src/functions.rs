//! Halyard's own functions, linked in.

use crate::invoke::Registry;

/// Every function of `infra/template.yaml`, by the name of its binary.
pub fn halyard() -> Registry {
    Registry::new()
        .with("halyard-authorizer", |host| Box::pin(halyard_authorizer::init(host)))
        .with("halyard-fn-auth", |host| Box::pin(halyard_fn_auth::init(host)))
        .with("halyard-fn-beat", |host| Box::pin(halyard_fn_beat::init(host)))
        .with("halyard-fn-migrate", |host| Box::pin(halyard_fn_migrate::init(host)))
        .with("halyard-fn-notifier", |host| Box::pin(halyard_fn_notifier::init(host)))
        .with("halyard-fn-status", |host| Box::pin(halyard_fn_status::init(host)))
        .with("halyard-fn-tasks", |host| Box::pin(halyard_fn_tasks::init(host)))
        .with("halyard-fn-users", |host| Box::pin(halyard_fn_users::init(host)))
        .with("halyard-fn-worker", |host| Box::pin(halyard_fn_worker::init(host)))
}
