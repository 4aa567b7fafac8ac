//! Functions behind the Lambda Invoke API: `cargo lambda watch`, or an emulator.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use halyard_platform::function::{Answer, Event};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

use super::{Counts, FailureKind, Invoke, InvokeError};
use crate::{
    event::{LAMBDA_PAYLOAD_LIMIT, event_to_json},
    template::FunctionSpec,
};

/// What a function is called over there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// By its binary: `cargo lambda watch`.
    Binary,
    /// By its name: a deployed stack.
    Name,
}

/// Functions behind an endpoint, without signatures (nothing local checks them).
#[derive(Debug)]
pub struct LambdaApi {
    client: Client<HttpConnector, Full<Bytes>>,
    functions: HashMap<String, Target>,
}

#[derive(Debug)]
struct Target {
    url: String,
    timeout: Duration,
    invocations: AtomicU64,
    failures: AtomicU64,
    throttles: AtomicU64,
}

impl LambdaApi {
    pub(crate) fn new<'s>(
        endpoint: &str,
        naming: Naming,
        functions: impl IntoIterator<Item = &'s FunctionSpec>,
    ) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let endpoint = endpoint.trim_end_matches('/');
        let target = |spec: &FunctionSpec| {
            let name = match naming {
                Naming::Binary => &spec.binary,
                Naming::Name => &spec.name,
            };
            Target {
                url: format!("{endpoint}/2015-03-31/functions/{name}/invocations"),
                timeout: spec.timeout,
                invocations: AtomicU64::new(0),
                failures: AtomicU64::new(0),
                throttles: AtomicU64::new(0),
            }
        };
        let functions = functions.into_iter().map(|spec| (spec.id.clone(), target(spec))).collect();
        Self { client: Client::builder(TokioExecutor::new()).build(connector), functions }
    }

    async fn post(&self, target: &Target, event: &Event) -> Result<Answer, InvokeError> {
        let unavailable = |e: &dyn std::fmt::Display| InvokeError::Unavailable(format!("{}: {e}", target.url));
        let json = event_to_json(event).and_then(|json| serde_json::to_vec(&json)).map_err(|e| unavailable(&e))?;
        if json.len() > LAMBDA_PAYLOAD_LIMIT {
            return Err(InvokeError::RequestTooLarge);
        }
        let request = Request::builder()
            .method(Method::POST)
            .uri(&target.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-amz-invocation-type", "RequestResponse")
            .body(Full::new(Bytes::from(json)))
            .map_err(|e| unavailable(&e))?;
        let response = self.client.request(request).await.map_err(|e| unavailable(&e))?;
        let failed = response.headers().contains_key("x-amz-function-error");
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|e| unavailable(&e))?.to_bytes();
        match status {
            StatusCode::TOO_MANY_REQUESTS => return Err(InvokeError::Throttled),
            StatusCode::PAYLOAD_TOO_LARGE => return Err(InvokeError::RequestTooLarge),
            _ => {}
        }
        let json: Result<Value, _> = serde_json::from_slice(&body);
        if failed {
            let json = json.unwrap_or_default();
            let message = json.get("errorMessage").and_then(Value::as_str).unwrap_or("the function failed");
            return Err(InvokeError::function(FailureKind::Error, message));
        }
        if !status.is_success() {
            return Err(unavailable(&status));
        }
        if body.is_empty() {
            return Ok(Answer::Plain(Value::Null));
        }
        json.map(Answer::Plain)
            .map_err(|e| InvokeError::function(FailureKind::Error, format!("the answer is not JSON: {e}")))
    }
}

#[async_trait]
impl Invoke for LambdaApi {
    async fn invoke(&self, function: &str, event: Event) -> Result<Answer, InvokeError> {
        let target = self.functions.get(function).ok_or_else(|| InvokeError::UnknownFunction(function.to_owned()))?;
        target.invocations.fetch_add(1, Ordering::Relaxed);
        // The other side keeps the function's limit; this one only makes sure that nobody waits for ever.
        let limit = target.timeout + Duration::from_secs(30);
        let result = match tokio::time::timeout(limit, self.post(target, &event)).await {
            Ok(result) => result,
            Err(_) => Err(InvokeError::function(FailureKind::Timeout, "no answer")),
        };
        match &result {
            Ok(_) => 0,
            Err(InvokeError::Throttled) => target.throttles.fetch_add(1, Ordering::Relaxed),
            Err(_) => target.failures.fetch_add(1, Ordering::Relaxed),
        };
        result
    }

    fn counts(&self, function: &str) -> Counts {
        self.functions.get(function).map_or_else(Counts::default, |target| Counts {
            invocations: target.invocations.load(Ordering::Relaxed),
            failures: target.failures.load(Ordering::Relaxed),
            throttles: target.throttles.load(Ordering::Relaxed),
            ..Counts::default()
        })
    }

    async fn shutdown(&self, _grace: Duration) -> bool {
        true
    }
}
