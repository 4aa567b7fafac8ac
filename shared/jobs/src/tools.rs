//! What task types need of the world outside, behind narrow traits: whoever only checks inputs has none of it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use halyard_domain::outbound::{Callable, Target};
use halyard_store::Pool;

/// A worker's tools. A type whose tool is missing fails in a way that may pass.
#[derive(Clone, Default)]
pub struct Tools {
    /// Calls other services.
    pub web: Option<Arc<dyn Web>>,
    /// Reads and cleans up what Halyard keeps.
    pub database: Option<Pool>,
    /// Invokes Lambda functions.
    pub functions: Option<Arc<dyn Functions>>,
    /// Those that may be invoked.
    pub callable: Callable,
}

impl std::fmt::Debug for Tools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tools").finish_non_exhaustive()
    }
}

/// A request to another service.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its method.
    pub method: http::Method,
    /// Where to.
    pub target: Target,
    /// Its headers.
    pub headers: http::HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
    /// How long all of it may take.
    pub limit: Duration,
    /// Bytes of the answer's body that are kept.
    pub keep: usize,
}

/// What it answered.
#[derive(Debug, Clone)]
pub struct Called {
    /// The status.
    pub status: http::StatusCode,
    /// The headers.
    pub headers: http::HeaderMap,
    /// What was kept of the body.
    pub body: Vec<u8>,
    /// Was there more?
    pub cut: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The target may not be called; nothing was sent.
    #[error("{0}")]
    Refused(String),
    /// It could not be reached, or did not answer; it may have been told.
    #[error("{0}")]
    Failed(String),
}

/// Calls other services.
#[async_trait]
pub trait Web: Send + Sync {
    /// Sends one request; redirects are answers.
    async fn call(&self, call: Call) -> Result<Called, CallError>;
}

/// A Lambda function to be invoked.
#[derive(Debug, Clone)]
pub struct FunctionCall {
    /// Its name.
    pub function: String,
    /// A version or an alias.
    pub qualifier: Option<String>,
    /// JSON.
    pub payload: Vec<u8>,
    /// What it finds in its context beside the payload: JSON, base64.
    pub client_context: String,
    /// How long all of it may take.
    pub limit: Duration,
}

/// What it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionAnswer {
    /// What it returned, or what it says of its failure.
    pub payload: Vec<u8>,
    /// Did it fail?
    pub failed: bool,
}

/// Why there is no answer of the function's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FunctionError {
    /// Too many are running; when it may be tried again, if that was said.
    #[error("{0}")]
    Throttled(String, Option<Duration>),
    /// Nobody answered, or somebody who cannot now; it may have run.
    #[error("{0}")]
    Unavailable(String),
    /// There is none of that name.
    #[error("{0}")]
    Unknown(String),
    /// It may not be invoked, or not with this.
    #[error("{0}")]
    Refused(String),
}

/// Invokes Lambda functions.
#[async_trait]
pub trait Functions: Send + Sync {
    /// Invokes one and waits for its answer.
    async fn invoke(&self, call: FunctionCall) -> Result<FunctionAnswer, FunctionError>;
}
