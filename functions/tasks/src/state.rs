//! What the handlers share.

use std::{ops::Deref, sync::Arc};

use halyard_auth::Principal;
use halyard_cloud::{
    CallbackBell,
    objects::{BucketName, Objects},
    queue::Queue,
    task_logs::TaskLogs,
};
use halyard_domain::{Clock, Entropy, UserId, authz::Permission, outbound::Allowed};
use halyard_jobs::{TaskTypes, doorbell::LaneQueues};
use halyard_store::{Pool, tasks::Intake};

use crate::gate::Gate;

/// The state of one execution environment; cloning is cheap.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// What the state is made of.
pub struct Parts {
    /// Tasks.
    pub pool: Pool,
    /// Where concurrent submits meet.
    pub intake: Intake,
    /// Who may not submit more for the moment.
    pub gate: Gate,
    /// Where doorbells go.
    pub queue: Arc<dyn Queue>,
    /// The lanes' queues.
    pub queues: LaneQueues,
    /// Rings for webhooks that are owed.
    pub callbacks: CallbackBell,
    /// Private targets that callbacks may name.
    pub allowed: Allowed,
    /// Log lines.
    pub logs: TaskLogs,
    /// Results that are too large for a row.
    pub objects: Arc<dyn Objects>,
    /// The bucket in which they are.
    pub results: BucketName,
    /// The task types that are accepted.
    pub registry: TaskTypes,
    /// Wall clock and test clock.
    pub clock: Arc<dyn Clock>,
    /// Task ids.
    pub entropy: Arc<Entropy>,
}

impl AppState {
    /// Puts the state together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for AppState {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Whose tasks a caller may deal with: their own, or with `permission` those of all (`None`).
pub fn scope(caller: &Principal, permission: Permission) -> Option<UserId> {
    (!caller.may(permission)).then_some(caller.user_id)
}
