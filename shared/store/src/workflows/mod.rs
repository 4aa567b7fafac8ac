//! Workflows: accepted with their tasks, advanced by the ends of these, retried, cancelled, shown.
//!
//! | from | to | the statement's condition |
//! |---|---|---|
//! | - | running | `create`: the id is new |
//! | running | completed, failed, cancelled | `commit`: it runs; `snapshot` keeps others off |
//! | completed, failed, cancelled | running, a new generation | `retry`: it has ended, the version is the one that was read, and no step is tried again on its own |

mod advance;
mod cancel;
mod create;
mod read;
mod retry;

pub use advance::{Inputs, Released, Snapshot, commit, inputs, signalled, snapshot, worth_deciding};
pub use cancel::{Cancelled, cancel};
pub use create::{NewWorkflow, create};
pub use read::{Counts, StepRecord, WorkflowRecord, WorkflowSummary, get, list, steps};
pub use retry::{Again, Retried, latest, retry, to_retry};
