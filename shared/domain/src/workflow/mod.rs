//! Workflows: batches, chains and graphs of tasks. What they look like, and what follows from the end of a step.

mod advance;
mod graph;

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use advance::{Advance, Dependent, Progress, Signal, advance};
pub use graph::{Edge, Graph, GraphError, StepSpec};

/// Where a workflow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkflowState {
    /// Some of its steps have not ended.
    Running,
    /// Every step completed.
    Completed,
    /// Every step ended, and not every one completed.
    Failed,
    /// Somebody cancelled it before every step had completed.
    Cancelled,
}

/// What a batch or a chain does when one of its steps does not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureStrategy {
    /// Cancels the steps that are not running at that moment; those that run go on to their end.
    #[default]
    StopOnError,
    /// Goes on: only steps that need what failed are left out.
    Continue,
}

/// In which order steps run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All at once.
    Parallel,
    /// One after the other.
    Sequential,
    /// As `depends_on` says.
    Graph,
}

/// How a workflow was submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkflowKind {
    /// `POST /tasks/batch`
    Batch,
    /// `POST /tasks/chain`
    Chain,
}

/// A text that names none of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {0}")]
pub struct UnknownName(&'static str);

macro_rules! names {
    ($type:ty, $all:literal, $($variant:ident = $name:literal),+) => {
        impl $type {
            /// The name, as the API and the database write it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;
            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(UnknownName($all)),
                }
            }
        }
    };
}

names!(
    WorkflowState,
    "running, completed, failed, cancelled",
    Running = "running",
    Completed = "completed",
    Failed = "failed",
    Cancelled = "cancelled"
);
names!(FailureStrategy, "stop_on_error, continue", StopOnError = "stop_on_error", Continue = "continue");
names!(Mode, "parallel, sequential, graph", Parallel = "parallel", Sequential = "sequential", Graph = "graph");
names!(WorkflowKind, "batch, chain", Batch = "batch", Chain = "chain");

impl WorkflowState {
    /// A workflow that has ended stays as it is, unless it is retried as a new generation.
    pub fn is_terminal(self) -> bool {
        self != Self::Running
    }
}
