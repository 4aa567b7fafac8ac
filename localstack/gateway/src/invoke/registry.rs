//! Which code a function runs.

use std::{collections::HashMap, fmt, future::Future, pin::Pin, sync::Arc};

use halyard_platform::{Function, Host, InitError};

/// A function on its way to being initialised.
pub type InitFuture<'h> = Pin<Box<dyn Future<Output = Result<Function, InitError>> + 'h>>;

/// Makes a function out of its surroundings.
pub type Init = Arc<dyn for<'h> Fn(&'h Host) -> InitFuture<'h> + Send + Sync>;

/// The functions that are linked in, by the name of their binary.
#[derive(Clone, Default)]
pub struct Registry(HashMap<String, Init>);

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with `init` for the binary named `binary`: `|host| Box::pin(some_function::init(host))`.
    #[must_use]
    pub fn with<F>(mut self, binary: impl Into<String>, init: F) -> Self
    where
        F: for<'h> Fn(&'h Host) -> InitFuture<'h> + Send + Sync + 'static,
    {
        self.0.insert(binary.into(), Arc::new(init));
        self
    }

    /// The code of a binary.
    pub fn get(&self, binary: &str) -> Option<Init> {
        self.0.get(binary).cloned()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
