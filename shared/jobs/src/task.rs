//! What a task type is.

use std::{borrow::Cow, future::Future, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use halyard_domain::authz::Permission;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use crate::{context::TaskContext, input, input::InvalidInput};

/// A type of task: typed input, typed output, and the code between them.
///
/// `run` is polled beside other attempts on one thread: work that keeps the processor busy for more than a few
/// milliseconds belongs into `tokio::task::spawn_blocking`, in pieces, so that leases are renewed meanwhile.
pub trait Task: Send + Sync + 'static {
    /// The name that clients submit (`task_type`).
    const TYPE: &'static str;
    /// One sentence for `GET /tasks/types`.
    const DESCRIPTION: &'static str;
    /// Does the type belong into the lane `long`?
    const LONG: bool = false;
    /// What whoever has such tasks run must be allowed, when they ask for it and when it runs; `None`: everybody may.
    const REQUIRES: Option<Permission> = None;
    /// What the client's `data` must decode into.
    type Input: DeserializeOwned + JsonSchema + Send + 'static;
    /// What the task answers.
    type Output: Serialize + Send + 'static;

    /// Rules that the input's type alone does not express. Pointers are relative to `data`.
    fn check(_input: &Self::Input) -> Result<(), InvalidInput> {
        Ok(())
    }

    /// Rules that this deployment makes, asked when a task is submitted: what `run` needs of them it must ask itself.
    fn admit(&self, _input: &Self::Input) -> Result<(), InvalidInput> {
        Ok(())
    }

    /// Carries out one attempt. It should notice [`TaskContext::cancelled`] and answer [`TaskFailure::cancelled`].
    ///
    /// A type that is [`LONG`](Self::LONG) runs in slices: before its invocation ends it is asked to stop, saves a
    /// checkpoint, and the next slice goes on from there.
    fn run(
        &self,
        input: Self::Input,
        context: TaskContext,
    ) -> impl Future<Output = Result<Self::Output, TaskFailure>> + Send;
}

/// What follows from a failure, as the task's code sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// May pass: tried again while retries are left.
    Retryable,
    /// No retry can mend it.
    Permanent,
    /// The code noticed that it was asked to stop.
    Cancelled,
}

/// How an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct TaskFailure {
    /// What follows.
    pub kind: FailureKind,
    /// A stable `snake_case` code.
    pub code: Cow<'static, str>,
    /// For people.
    pub message: String,
    /// Not to be tried again before: what a callee's `Retry-After` asked for.
    pub after: Option<Duration>,
}

impl TaskFailure {
    /// A failure that may pass.
    pub fn retryable(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Retryable, code: code.into(), message: message.into(), after: None }
    }

    /// A failure that no retry can mend.
    pub fn permanent(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Permanent, code: code.into(), message: message.into(), after: None }
    }

    /// The code noticed that it was asked to stop.
    pub fn cancelled() -> Self {
        let message = "the task was cancelled".into();
        Self { kind: FailureKind::Cancelled, code: "cancelled".into(), message, after: None }
    }

    /// The same, not to be tried again before `wait` is over. The retry's own delay holds when it is longer; a day is the
    /// most.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self { after: Some(wait), ..self }
    }
}

/// An attempt whose input has been decoded, ready to run.
pub type Prepared = Box<dyn FnOnce(TaskContext) -> BoxFuture<'static, Result<Box<RawValue>, TaskFailure>> + Send>;

/// What is known of a task type without running it; its input as JSON.
pub trait TaskType: Send + Sync {
    /// The name that clients submit.
    fn task_type(&self) -> &'static str;
    /// One sentence about it.
    fn description(&self) -> &'static str;
    /// Does it belong into the lane `long`?
    fn is_long(&self) -> bool;
    /// What its owner must be allowed.
    fn requires(&self) -> Option<Permission>;
    /// The JSON Schema (draft 2020-12) of its input.
    fn schema(&self) -> Value;
    /// Decodes `data` and forgets it: what submit asks.
    fn validate(&self, data: &RawValue) -> Result<(), InvalidInput>;
}

/// A task type that can be run, its input and output as JSON.
pub trait DynTask: TaskType {
    /// Decodes `data` for an attempt.
    fn prepare(self: Arc<Self>, data: &RawValue) -> Result<Prepared, InvalidInput>;
}

impl<T: Task> TaskType for T {
    fn task_type(&self) -> &'static str {
        T::TYPE
    }

    fn description(&self) -> &'static str {
        T::DESCRIPTION
    }

    fn is_long(&self) -> bool {
        T::LONG
    }

    fn requires(&self) -> Option<Permission> {
        T::REQUIRES
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(T::Input).to_value()
    }

    fn validate(&self, data: &RawValue) -> Result<(), InvalidInput> {
        let input = input::decode::<T::Input>(data)?;
        T::check(&input)?;
        self.admit(&input)
    }
}

impl<T: Task> DynTask for T {
    fn prepare(self: Arc<Self>, data: &RawValue) -> Result<Prepared, InvalidInput> {
        let input = input::decode::<T::Input>(data)?;
        T::check(&input)?;
        Ok(Box::new(move |context| {
            Box::pin(async move {
                let output = self.run(input, context).await?;
                serde_json::value::to_raw_value(&output)
                    .map_err(|error| TaskFailure::permanent("result_not_json", error.to_string()))
            })
        }))
    }
}
