//! AWS Lambda: invoking a function and waiting for what it answers.
//!
//! One operation, so no SDK: its crate would be a tenth of the worker's zip. The request is signed by the SDK's own signer and
//! goes through the SDK's own HTTP client.
//! Source: AWS Lambda API Reference, `Invoke`.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use aws_credential_types::{Credentials, provider::ProvideCredentials as _};
use aws_sigv4::{
    http_request::{self, SignableBody, SignableRequest, SigningSettings},
    sign::v4,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};

use crate::{
    aws::AwsSettings,
    http::{Http, Trust},
};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(2);
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
    region: String,
    plain: bool,
    sdk: SdkConfig,
    http: Http,
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
        let http = Http::new(if plain { Trust::Nobody } else { Trust::Machine }, CONNECT);
        Self { endpoint, region, plain, sdk: sdk.clone(), http }
    }

    /// Invokes a function once and waits for its answer.
    ///
    /// # Errors
    /// When Lambda refuses, or does not answer within the limit.
    pub async fn invoke(&self, invocation: Invocation<'_>, now: SystemTime) -> Result<Answer, InvokeError> {
        let limit = invocation.limit;
        let answer = tokio::time::timeout(limit, async {
            let request = self.request(invocation, now).await?;
            let answer = self.http.send(request).await.map_err(InvokeError::Silence)?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, LARGEST).collect().await.map_err(|e| InvokeError::Silence(e.to_string()))?;
            understood(head.status, &head.headers, body.to_bytes())
        });
        answer.await.unwrap_or_else(|_| Err(InvokeError::Silence(format!("within {limit:?}"))))
    }

    async fn request(&self, of: Invocation<'_>, now: SystemTime) -> Result<Request<SdkBody>, InvokeError> {
        // The one character of a qualifier that a query has to write otherwise.
        let qualifier = of.qualifier.map(|name| format!("?Qualifier={}", name.replace('$', "%24"))).unwrap_or_default();
        let url = format!("{}/2015-03-31/functions/{}/invocations{qualifier}", self.endpoint, of.function);
        let builder = Request::post(&url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-amz-invocation-type", "RequestResponse")
            .header("x-amz-client-context", of.client_context);
        let broken = |error: &dyn fmt::Display| InvokeError::Silence(format!("the request cannot be made: {error}"));
        let mut request = builder.body(()).map_err(|error| broken(&error))?;
        let identity = self.credentials().await?.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("lambda")
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| broken(&error))?
            .into();
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
        let signable = SignableRequest::new("POST", &url, headers, SignableBody::Bytes(&of.payload));
        let signed = signable.and_then(|signable| http_request::sign(signable, &params));
        let (instructions, _) = signed.map_err(|error| broken(&error))?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(request.map(|()| SdkBody::from(of.payload)))
    }

    async fn credentials(&self) -> Result<Credentials, InvokeError> {
        match self.sdk.credentials_provider() {
            Some(provider) => match provider.provide_credentials().await {
                Ok(credentials) => Ok(credentials),
                // What stands in for Lambda on one's own machine asks nobody who they are.
                Err(_) if self.plain => Ok(Credentials::new("local", "local", None, None, "local")),
                Err(error) => Err(InvokeError::Silence(format!("no credentials: {error}"))),
            },
            None => Err(InvokeError::Silence("no credentials".to_owned())),
        }
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
