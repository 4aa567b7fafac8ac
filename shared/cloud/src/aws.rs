//! What all clients of the AWS SDK share: one HTTP client, credentials, and time limits.
//!
//! Nothing is read from `~/.aws`, from the instance metadata service or from the process environment: what counts is
//! what the function was given. (The credentials of a container are the exception: its provider reads
//! `AWS_CONTAINER_CREDENTIALS_*` itself.)

use std::time::Duration;

pub use aws_config::SdkConfig;
use aws_config::{
    BehaviorVersion, Region, ecs::EcsCredentialsProvider, provider_config::ProviderConfig, retry::RetryConfig,
    stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig,
};
use aws_sdk_sqs::{
    config::{Credentials, SharedCredentialsProvider, SharedHttpClient},
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};
use aws_smithy_runtime_api::shared::IntoShared as _;

use crate::http::{Http, Trust};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_millis(700);
/// How long one attempt may take.
pub(crate) const ATTEMPT: Duration = Duration::from_millis(900);
/// How long an operation may take, with its retries: a service that is down is known to be down after this.
pub(crate) const OPERATION: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 3;

/// Where AWS is and who we are there.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsSettings {
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ENDPOINT_URL`: an emulator for all services.
    pub endpoint: Option<String>,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, as Lambda sets them; else the container's.
    pub credentials: Option<AwsCredentials>,
}

/// A key pair, and the session token if they are temporary.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsCredentials {
    /// The access key's id.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: String,
    /// The session token.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for AwsSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsSettings")
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .field("credentials", &self.credentials.as_ref().map(|c| &c.access_key_id))
            .finish()
    }
}

impl AwsSettings {
    /// Reads the SDK's own variables through `lookup`. The region is `AWS_REGION`, else `AWS_DEFAULT_REGION`, else
    /// `us-east-1`.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let find = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let keys = find("AWS_ACCESS_KEY_ID").zip(find("AWS_SECRET_ACCESS_KEY"));
        Self {
            region: find("AWS_REGION").or_else(|| find("AWS_DEFAULT_REGION")).unwrap_or_else(|| "us-east-1".to_owned()),
            endpoint: find("AWS_ENDPOINT_URL"),
            credentials: keys.map(|(access_key_id, secret_access_key)| AwsCredentials {
                access_key_id,
                secret_access_key,
                session_token: find("AWS_SESSION_TOKEN"),
            }),
        }
    }

    /// The configuration for the clients of one execution environment. It connects to nothing.
    pub fn sdk_config(&self) -> SdkConfig {
        let http = self.http_client();
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.credentials_provider(&http))
            .http_client(http)
            .retry_config(
                RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(Duration::from_millis(50)),
            )
            .timeout_config(timeouts(Duration::ZERO))
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        config.set_endpoint_url(self.endpoint.clone());
        config.build()
    }

    fn credentials_provider(&self, http: &SharedHttpClient) -> SharedCredentialsProvider {
        if let Some(keys) = &self.credentials {
            return SharedCredentialsProvider::new(Credentials::new(
                keys.access_key_id.clone(),
                keys.secret_access_key.clone(),
                keys.session_token.clone(),
                None,
                "settings",
            ));
        }
        let provider = ProviderConfig::without_region().with_http_client(http.clone());
        SharedCredentialsProvider::new(EcsCredentialsProvider::builder().configure(&provider).build())
    }

    fn http_client(&self) -> SharedHttpClient {
        let plain = self.endpoint.as_deref().is_some_and(|url| url.starts_with("http://"));
        Http::new(if plain { Trust::Nobody } else { Trust::Machine }, CONNECT).into_shared()
    }
}

/// Time limits of an operation during which the service may rightly be silent for `wait`.
pub(crate) fn timeouts(wait: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT + wait)
        .operation_timeout(OPERATION + wait)
        .build()
}

/// What an error of the SDK comes down to.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The service said why it will not, under this code.
    Code(String, String),
    /// It did not answer.
    Silence(String),
}

pub(crate) fn fault<E>(error: &SdkError<E>) -> Fault
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    // `AWS.SimpleQueueService.NonExistentQueue`, `com.amazonaws.dynamodb.v20120810#ValidationException`
    let code = error.code().and_then(|code| code.rsplit(['.', '#']).next());
    match code {
        Some(code) => {
            Fault::Code(code.to_owned(), format!("{code}: {}", error.message().unwrap_or("no further explanation")))
        }
        None => Fault::Silence(DisplayErrorContext(error).to_string()),
    }
}
