//! What the handlers share.

use std::{ops::Deref, sync::Arc};

use halyard_cloud::Sessions;
use halyard_domain::Clock;
use halyard_store::Pool;

/// The state of one execution environment; cloning is cheap.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// What the state is made of.
pub struct Parts {
    /// Users, the audit log.
    pub pool: Pool,
    /// Where epochs go.
    pub sessions: Sessions,
    /// Wall clock and test clock.
    pub clock: Arc<dyn Clock>,
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
