//! Background tasks: what a task type is, which types there are, and how an attempt of one is carried out.
//!
//! A queue message is a doorbell for a lane, never the task itself ([`doorbell`]). Whoever hears it claims the best
//! eligible rows of that lane and runs them side by side ([`worker`]), each under a lease and a fencing number.

pub mod context;
pub mod doorbell;
pub mod input;
pub mod log;
pub mod registry;
pub mod task;
pub mod tools;
pub mod types;
pub mod worker;
pub mod workflows;

pub use context::{Stop, TaskContext};
pub use input::{InputError, InvalidInput};
pub use registry::{Catalogue, Registry, TaskTypes};
pub use task::{DynTask, FailureKind, Task, TaskFailure, TaskType};
pub use tools::Tools;
