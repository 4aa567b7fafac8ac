//! Which task types there are.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    task::{DynTask, Task, TaskType},
    tools::Tools,
    types::{
        BulkImport, DataExtraction, DataProcessing, DataTransformation, DatabaseCleanup, HttpRequest, LambdaInvoke,
        MachineLearningTraining, ReportGeneration, Sample, UserSpecific,
    },
};

/// The task types of this deployment, by name: what is known of each ([`TaskTypes`]), or what can run them ([`Registry`]).
pub struct Catalogue<D: ?Sized>(BTreeMap<&'static str, Arc<D>>);

/// For a worker.
pub type Registry = Catalogue<dyn DynTask>;

/// For whoever only checks inputs: it has no code of a type but that of its input, which keeps a function small.
pub type TaskTypes = Catalogue<dyn TaskType>;

/// Adds the types that Halyard ships.
macro_rules! shipped {
    ($to:expr, $tools:expr) => {
        $to.with(Sample)
            .with(UserSpecific)
            .with(DataProcessing)
            .with(DataExtraction::new($tools.clone()))
            .with(DataTransformation)
            .with(ReportGeneration)
            .with(MachineLearningTraining)
            .with(HttpRequest::new($tools.clone()))
            .with(BulkImport::new($tools.clone()))
            .with(DatabaseCleanup::new($tools.clone()))
            .with(LambdaInvoke::new($tools.clone()))
    };
}

impl Registry {
    /// The types that Halyard ships, without tools.
    pub fn standard() -> Self {
        Self::with_tools(&Tools::default())
    }

    /// The same, for a worker that has tools.
    pub fn with_tools(tools: &Tools) -> Self {
        shipped!(Self::empty(), tools)
    }

    /// Adds a type; one of the same name is replaced.
    #[must_use]
    pub fn with<T: Task>(mut self, task: T) -> Self {
        self.0.insert(T::TYPE, Arc::new(task));
        self
    }
}

impl TaskTypes {
    /// The types that Halyard ships. Of `tools` their inputs may need to know the configuration.
    pub fn shipped(tools: &Tools) -> Self {
        shipped!(Self::empty(), tools)
    }

    /// Adds a type; one of the same name is replaced.
    #[must_use]
    pub fn with<T: Task>(mut self, task: T) -> Self {
        self.0.insert(T::TYPE, Arc::new(task));
        self
    }
}

impl<D: ?Sized> Catalogue<D> {
    /// No types at all.
    pub fn empty() -> Self {
        Self(BTreeMap::new())
    }

    /// The type of that name.
    pub fn get(&self, task_type: &str) -> Option<&Arc<D>> {
        self.0.get(task_type)
    }

    /// Every type, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<D>> {
        self.0.values()
    }

    /// Every name, ascending.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}

impl<D: ?Sized> Clone for Catalogue<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D: ?Sized> Default for Catalogue<D> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<D: ?Sized> std::fmt::Debug for Catalogue<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
