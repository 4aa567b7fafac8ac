//! How functions are invoked: linked in, or over the Lambda Invoke API.

mod environment;
mod in_process;
mod lambda_api;
mod pool;
mod registry;

use async_trait::async_trait;
use halyard_platform::function::{Answer, Event};

pub(crate) use in_process::Surroundings;
pub use in_process::{Capacity, InProcess, Limits};
pub use lambda_api::{LambdaApi, Naming};
pub use registry::{Init, InitFuture, Registry};

/// Invokes functions, named by their logical id in the template.
#[async_trait]
pub trait Invoke: Send + Sync + std::fmt::Debug {
    /// Invokes a function and waits for its answer. [`Answer::Plain`] is the answer's JSON where it came as JSON.
    async fn invoke(&self, function: &str, event: Event) -> Result<Answer, InvokeError>;

    /// What has happened to a function so far.
    fn counts(&self, function: &str) -> Counts;

    /// Ends environments that have had nothing to do for long.
    fn reap(&self) {}

    /// Starts an environment of every function and waits until each is ready. Elsewhere that is not ours to do.
    async fn warm_up(&self) -> Result<(), InvokeError> {
        Ok(())
    }

    /// Lets outstanding invocations end, then ends the environments. Answers whether all ended within `grace`.
    async fn shutdown(&self, grace: std::time::Duration) -> bool;
}

/// Counted per function since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Invocations that were begun.
    pub invocations: u64,
    /// Invocations that failed: errors, panics, timeouts, failed starts.
    pub failures: u64,
    /// Invocations that were refused because every environment was busy.
    pub throttles: u64,
    /// Environments that were started.
    pub started: u64,
    /// Environments that are there now.
    pub environments: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The template has no such function.
    #[error("there is no function {0}")]
    UnknownFunction(String),
    /// Every environment is busy and there may be no more (`TooManyRequestsException`, 429).
    #[error("every environment of the function is busy")]
    Throttled,
    /// The event is larger than Lambda takes (`RequestTooLargeException`, 413).
    #[error("the event is larger than Lambda takes")]
    RequestTooLarge,
    /// The function failed: Lambda answers 200 with `X-Amz-Function-Error`.
    #[error("{kind}: {message}")]
    Function {
        /// What happened.
        kind: FailureKind,
        /// What the function or its host says about it.
        message: String,
    },
    /// The host of the functions is away.
    #[error("functions cannot be invoked now: {0}")]
    Unavailable(String),
}

/// How a function failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// It returned an error.
    Error,
    /// It took longer than its timeout; the environment is gone.
    Timeout,
    /// It panicked; the environment is gone.
    Crash,
    /// It could not be initialised.
    Init,
    /// Its answer is larger than Lambda takes.
    ResponseTooLarge,
}

impl std::fmt::Display for FailureKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Error => "Unhandled",
            Self::Timeout => "Sandbox.Timedout",
            Self::Crash => "Runtime.ExitError",
            Self::Init => "Runtime.InitError",
            Self::ResponseTooLarge => "Function.ResponseSizeTooLarge",
        })
    }
}

impl InvokeError {
    pub(crate) fn function(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::Function { kind, message: message.into() }
    }
}
