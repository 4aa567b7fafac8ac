//! Which task types there are.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    task::{DynTask, Task},
    tools::Tools,
    types::{
        DataExtraction, DataProcessing, DataTransformation, HttpRequest, MachineLearningTraining, ReportGeneration,
        Sample, UserSpecific,
    },
};

/// The task types of this deployment, by name.
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<&'static str, Arc<dyn DynTask>>);

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Registry {
    /// No types at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The types that Halyard ships, for whoever only checks inputs.
    pub fn standard() -> Self {
        Self::with_tools(&Tools::default())
    }

    /// The same, for a worker.
    pub fn with_tools(tools: &Tools) -> Self {
        Self::empty()
            .with(Sample)
            .with(UserSpecific)
            .with(DataProcessing)
            .with(DataExtraction::new(tools.clone()))
            .with(DataTransformation)
            .with(ReportGeneration)
            .with(MachineLearningTraining)
            .with(HttpRequest::new(tools.clone()))
    }

    /// Adds a type; one of the same name is replaced.
    #[must_use]
    pub fn with<T: Task>(mut self, task: T) -> Self {
        self.0.insert(T::TYPE, Arc::new(task));
        self
    }

    /// The type of that name.
    pub fn get(&self, task_type: &str) -> Option<&Arc<dyn DynTask>> {
        self.0.get(task_type)
    }

    /// Every type, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn DynTask>> {
        self.0.values()
    }

    /// Every name, ascending.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}
