//! One request by itself to a service of AWS whose crate of the SDK would be too large for the few operations that are asked of
//! it: signed by the SDK's own signer, sent by the SDK's own HTTP client.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use aws_credential_types::{Credentials, provider::ProvideCredentials as _};
use aws_sigv4::{
    http_request::{self, SignableBody, SignableRequest, SignatureLocation, SigningSettings},
    sign::v4,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};

use crate::http::{Http, Trust};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(2);

/// Signs requests to one service.
#[derive(Clone)]
pub(crate) struct Signer {
    service: &'static str,
    region: String,
    plain: bool,
    sdk: SdkConfig,
    signing: SigningSettings,
    /// The largest answer, in bytes.
    largest: usize,
    /// Made when it is first needed: who only signs links needs none, and the machine's certificate authorities take their time.
    http: Arc<OnceLock<Http>>,
}

impl Signer {
    /// For a service by its name in signatures. `plain`: without TLS. It connects to nothing.
    pub fn new(
        service: &'static str,
        region: &str,
        plain: bool,
        sdk: &SdkConfig,
        signing: SigningSettings,
        largest: usize,
    ) -> Self {
        let (region, sdk) = (region.to_owned(), sdk.clone());
        Self { service, region, plain, sdk, signing, largest, http: Arc::default() }
    }

    /// Sends a request once and reads its answer, all within `limit`. The error is a sentence: nothing came back.
    pub async fn send(
        &self,
        mut request: Request<()>,
        body: Bytes,
        now: SystemTime,
        limit: Duration,
    ) -> Result<Response<Bytes>, String> {
        let answer = tokio::time::timeout(limit, async {
            self.sign(&mut request, SignableBody::Bytes(&body), self.signing.clone(), now).await?;
            let answer = self.http().send(request.map(|()| SdkBody::from(body))).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, self.largest).collect().await.map_err(|error| error.to_string())?;
            Ok::<_, String>(Response::from_parts(head, body.to_bytes()))
        });
        answer.await.unwrap_or_else(|_| Err(format!("within {limit:?}")))
    }

    /// The URL with a signature in it: for `valid` from `now` it is a GET of whoever has it, with our rights.
    pub async fn presigned(&self, url: &str, valid: Duration, now: SystemTime) -> Result<String, String> {
        let mut signing = self.signing.clone();
        signing.signature_location = SignatureLocation::QueryParams;
        signing.expires_in = Some(valid);
        let mut request = Request::get(url).body(()).map_err(broken)?;
        self.sign(&mut request, SignableBody::UnsignedPayload, signing, now).await?;
        Ok(request.uri().to_string())
    }

    async fn sign(
        &self,
        request: &mut Request<()>,
        body: SignableBody<'_>,
        signing: SigningSettings,
        now: SystemTime,
    ) -> Result<(), String> {
        let identity = self.credentials().await?.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(now)
            .settings(signing)
            .build()
            .map_err(broken)?
            .into();
        let url = request.uri().to_string();
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
        let signable = SignableRequest::new(request.method().as_str(), &url, headers, body);
        let signed = signable.and_then(|signable| http_request::sign(signable, &params));
        let (instructions, _) = signed.map_err(broken)?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }

    async fn credentials(&self) -> Result<Credentials, String> {
        match self.sdk.credentials_provider() {
            Some(provider) => match provider.provide_credentials().await {
                Ok(credentials) => Ok(credentials),
                // What stands in for AWS on one's own machine asks nobody who they are.
                Err(_) if self.plain => Ok(Credentials::new("local", "local", None, None, "local")),
                Err(error) => Err(format!("no credentials: {error}")),
            },
            None => Err("no credentials".to_owned()),
        }
    }

    fn http(&self) -> &Http {
        self.http.get_or_init(|| Http::new(if self.plain { Trust::Nobody } else { Trust::Machine }, CONNECT))
    }
}

/// Why there is no request to be sent.
pub(crate) fn broken(error: impl fmt::Display) -> String {
    format!("the request cannot be made: {error}")
}
