//! AWS Lambda: invoking a function and waiting for what it answers.
//!
//! One operation, so no SDK: its crate would be a tenth of the worker's zip.
//! Source: AWS Lambda API Reference, `Invoke`.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use aws_sigv4::http_request::SigningSettings;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};

use crate::{
    aws::AwsSettings,
    signed::{Signer, broken},
};

/// The largest answer, in bytes: Lambda's own limit of a synchronous invocation, with room for its envelope.
const LARGEST: usize = 6 * 1024 * 1024 + 64 * 1024;

/// An invocation.
#[derive(Debug, Clone)]
pub struct Invocation<'a> {
    /// The function's name: letters, digits, `-` and `_`.
    pub function: &'a str,
    /// A version or an alias.
    pub qualifier: Option<&'a str>,
    /// JSON.
    pub payload: Bytes,
    /// What the function finds in its context beside the payload: JSON, base64.
    pub client_context: &'a str,
    /// How long all of it may take.
    pub limit: Duration,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the function returned, or what it says of its failure.
    pub payload: Bytes,
    /// Did the function fail (`Handled` or `Unhandled`)?
    pub failed: bool,
}

/// Why there is no answer of the function's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// Lambda refused it, with this status and code.
    #[error("Lambda answered {status} {code}: {message}")]
    Refused {
        /// 403, 404, 429, 500, ..
        status: u16,
        /// `ResourceNotFoundException`.
        code: String,
        /// For people.
        message: String,
        /// When it may be tried again.
        after: Option<Duration>,
    },
    /// Nothing came back, or nothing that can be understood. The function may have run.
    #[error("Lambda did not answer: {0}")]
    Silence(String),
}

/// A client of AWS Lambda, or of what speaks its API.
#[derive(Clone)]
pub struct Lambda {
    endpoint: String,
    signer: Signer,
}

impl fmt::Debug for Lambda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lambda").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Lambda {
    /// A client for `endpoint` (`AWS_ENDPOINT_URL_LAMBDA`), or else where the settings say that Lambda is. It connects to nothing.
    pub fn new(settings: &AwsSettings, sdk: &SdkConfig, endpoint: Option<&str>) -> Self {
        let given = endpoint.or(settings.endpoint.as_deref()).map(|url| url.trim_end_matches('/').to_owned());
        let region = settings.region.clone();
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let endpoint = given.unwrap_or_else(|| format!("https://lambda.{region}.amazonaws.com{suffix}"));
        let plain = endpoint.starts_with("http://");
        let signer = Signer::new("lambda", &region, plain, sdk, SigningSettings::default(), LARGEST);
        Self { endpoint, signer }
    }

    /// Invokes a function once and waits for its answer.
    ///
    /// # Errors
    /// When Lambda refuses, or does not answer within the limit.
    pub async fn invoke(&self, invocation: Invocation<'_>, now: SystemTime) -> Result<Answer, InvokeError> {
        let request = self.request(&invocation).map_err(InvokeError::Silence)?;
        let answer = self.signer.send(request, invocation.payload, now, invocation.limit).await;
        let (head, body) = answer.map_err(InvokeError::Silence)?.into_parts();
        understood(head.status, &head.headers, body)
    }

    fn request(&self, of: &Invocation<'_>) -> Result<Request<()>, String> {
        // The one character of a qualifier that a query has to write otherwise.
        let qualifier = of.qualifier.map(|name| format!("?Qualifier={}", name.replace('$', "%24"))).unwrap_or_default();
        let url = format!("{}/2015-03-31/functions/{}/invocations{qualifier}", self.endpoint, of.function);
        let builder = Request::post(&url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-amz-invocation-type", "RequestResponse")
            .header("x-amz-client-context", of.client_context);
        builder.body(()).map_err(broken)
    }
}

/// What an answer means.
fn understood(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Result<Answer, InvokeError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if status == StatusCode::OK {
        return Ok(Answer { payload: body, failed: text("x-amz-function-error").is_some() });
    }
    let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let field = |names: [&str; 2]| names.iter().find_map(|name| said.get(name)?.as_str().map(str::to_owned));
    // `TooManyRequestsException:http://internal.amazon.com/coral/..`
    let code = text("x-amzn-errortype").map(|code| code.split(':').next().unwrap_or(code).to_owned());
    let message = || String::from_utf8_lossy(&body).chars().take(200).collect::<String>();
    Err(InvokeError::Refused {
        status: status.as_u16(),
        code: code.or_else(|| field(["__type", "code"])).unwrap_or_else(|| "Unknown".to_owned()),
        message: field(["Message", "message"]).unwrap_or_else(message),
        after: text("retry-after").and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs),
    })
}
