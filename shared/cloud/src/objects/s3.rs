//! The adapter over S3. Three operations and a signature, so no SDK: its crate would be the largest of all.
//! Source: Amazon S3 API Reference, `PutObject`, `GetObject`, `CreateBucket`, `PutBucketLifecycleConfiguration`, "Error
//! responses".

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sigv4::http_request::{PayloadChecksumKind, PercentEncodingMode, SigningSettings, UriPathNormalizationMode};
use bytes::Bytes;
use halyard_domain::{Clock as _, SystemClock};
use http::{Request, Response, StatusCode, header, request::Builder};
use sha2::{Digest as _, Sha256};

use super::{BucketName, ObjectError, Objects, limits};
use crate::{
    aws::AwsSettings,
    round_trips,
    signed::{Signer, broken},
};

/// How long an answer to a small request may take.
const SMALL: Duration = Duration::from_secs(2);
/// How long an object may take to come.
const READ: Duration = Duration::from_secs(15);
/// How often a request is sent that nobody answers, or that is to come later.
const ATTEMPTS: u32 = 3;
const XMLNS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// S3, or an emulator of it.
#[derive(Clone)]
pub struct S3Objects {
    region: String,
    /// Buckets are paths below it; without it they are hosts of AWS.
    endpoint: Option<String>,
    /// The same where links are followed.
    public: Option<String>,
    signer: Signer,
}

impl fmt::Debug for S3Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Objects")
            .field("endpoint", &self.endpoint)
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl S3Objects {
    /// A client for `endpoint` (`AWS_ENDPOINT_URL_S3`), or else where the settings say that S3 is; its links lead to `public`
    /// (`OBJECTS_PUBLIC_URL`), if that is elsewhere for those who follow them. It connects to nothing.
    pub fn new(settings: &AwsSettings, sdk: &SdkConfig, endpoint: Option<&str>, public: Option<&str>) -> Self {
        let trimmed = |url: &str| url.trim_end_matches('/').to_owned();
        let endpoint = endpoint.or(settings.endpoint.as_deref()).map(trimmed);
        let public = public.map(trimmed).or_else(|| endpoint.clone());
        let plain = endpoint.as_deref().is_some_and(|url| url.starts_with("http://"));
        let signer = Signer::new("s3", &settings.region, plain, sdk, signing(), limits::MAX_BYTES);
        Self { region: settings.region.clone(), endpoint, public, signer }
    }

    /// Makes a bucket in which objects are kept for so many days. One that is ours already is fine, and keeps objects as long from
    /// now on.
    ///
    /// # Errors
    /// With what the service said.
    pub async fn make_bucket(&self, bucket: &BucketName, keep_days: Option<u32>) -> Result<(), ObjectError> {
        let url = self.url(self.endpoint.as_deref(), bucket, "");
        // The one region whose name must not be given.
        let place = (self.region != "us-east-1").then(|| {
            let place = format!("<LocationConstraint>{}</LocationConstraint>", self.region);
            format!("<CreateBucketConfiguration xmlns=\"{XMLNS}\">{place}</CreateBucketConfiguration>")
        });
        let answer = self.ask(Request::put(&url), &place.unwrap_or_default().into(), SMALL).await?;
        if !answer.status().is_success() && code(&answer) != "BucketAlreadyOwnedByYou" {
            return Err(refusal(&answer));
        }
        match keep_days {
            Some(days) => self.limit(&format!("{url}?lifecycle"), days).await,
            None => Ok(()),
        }
    }

    async fn limit(&self, url: &str, days: u32) -> Result<(), ObjectError> {
        let rule = format!(
            "<Rule><ID>old</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>\
             <Expiration><Days>{days}</Days></Expiration></Rule>"
        );
        let rules = format!("<LifecycleConfiguration xmlns=\"{XMLNS}\">{rule}</LifecycleConfiguration>");
        // This operation alone requires a checksum.
        let request = Request::put(url)
            .header("x-amz-sdk-checksum-algorithm", "SHA256")
            .header("x-amz-checksum-sha256", aws_smithy_types::base64::encode(Sha256::digest(&rules)));
        done(&self.ask(request, &rules.into(), SMALL).await?)
    }

    fn url(&self, base: Option<&str>, bucket: &BucketName, key: &str) -> String {
        let suffix = if self.region.starts_with("cn-") { ".cn" } else { "" };
        match base {
            Some(base) => format!("{base}/{bucket}/{key}"),
            None => format!("https://{bucket}.s3.{}.amazonaws.com{suffix}/{key}", self.region),
        }
    }

    /// Sends what may be done twice until it is answered, for twice as long as one answer may take.
    async fn ask(&self, request: Builder, body: &Bytes, limit: Duration) -> Result<Response<Bytes>, ObjectError> {
        let request = request.body(()).map_err(|error| ObjectError::Refused(broken(error)))?;
        let mut last = format!("no answer within {:?}", 2 * limit);
        let tries = async {
            for attempt in 0..ATTEMPTS {
                if attempt > 0 {
                    tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
                }
                round_trips::OBJECT.add(1);
                // A signature's time is AWS's, whatever the time of tests.
                let now = SystemClock.now().into();
                match self.signer.send(request.clone(), body.clone(), now, limit).await {
                    Ok(answer) if !comes_later(&answer) => return Some(answer),
                    Ok(answer) => last = said(&answer),
                    Err(why) => last = format!("no answer: {why}"),
                }
            }
            None
        };
        let answer = tokio::time::timeout(2 * limit, tries).await.ok().flatten();
        answer.ok_or(ObjectError::Unavailable(last))
    }
}

#[async_trait]
impl Objects for S3Objects {
    async fn put(&self, bucket: &BucketName, key: &str, body: Bytes, content_type: &str) -> Result<(), ObjectError> {
        limits::check_put(key, &body, content_type)?;
        let url = self.url(self.endpoint.as_deref(), bucket, key);
        let limit = SMALL + Duration::from_secs((body.len() / (1024 * 1024)) as u64);
        done(&self.ask(Request::put(url).header(header::CONTENT_TYPE, content_type), &body, limit).await?)
    }

    async fn get(&self, bucket: &BucketName, key: &str) -> Result<Option<Bytes>, ObjectError> {
        limits::check_key(key)?;
        let url = self.url(self.endpoint.as_deref(), bucket, key);
        let answer = self.ask(Request::get(url), &Bytes::new(), READ).await?;
        match answer.status() {
            StatusCode::OK => Ok(Some(answer.into_body())),
            StatusCode::NOT_FOUND if code(&answer) == "NoSuchKey" => Ok(None),
            _ => Err(refusal(&answer)),
        }
    }

    async fn link(
        &self,
        bucket: &BucketName,
        key: &str,
        valid: Duration,
        now: SystemTime,
    ) -> Result<String, ObjectError> {
        limits::check_link(key, valid)?;
        let url = self.url(self.public.as_deref(), bucket, key);
        self.signer.presigned(&url, valid, now).await.map_err(ObjectError::Unavailable)
    }
}

/// S3 alone takes paths as they are, and wants the hash of a body by itself.
fn signing() -> SigningSettings {
    let mut signing = SigningSettings::default();
    signing.percent_encoding_mode = PercentEncodingMode::Single;
    signing.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    signing.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    signing
}

/// `SlowDown`, `InternalError`, `RequestTimeout`.
fn comes_later(answer: &Response<Bytes>) -> bool {
    let status = answer.status();
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || code(answer) == "RequestTimeout"
}

fn done(answer: &Response<Bytes>) -> Result<(), ObjectError> {
    if answer.status().is_success() { Ok(()) } else { Err(refusal(answer)) }
}

/// The codes that say that the request is wrong, whenever it is made. The others (a right, a credential, a clock) somebody mends.
const REFUSALS: &[&str] = &[
    "BadDigest",
    "BucketAlreadyExists",
    "EntityTooLarge",
    "IllegalLocationConstraintException",
    "InvalidArgument",
    "InvalidBucketName",
    "InvalidLocationConstraint",
    "InvalidRequest",
    "InvalidURI",
    "KeyTooLongError",
    "MalformedXML",
    "MethodNotAllowed",
    "NoSuchBucket",
];

fn refusal(answer: &Response<Bytes>) -> ObjectError {
    let refused = REFUSALS.contains(&code(answer).as_str());
    if refused { ObjectError::Refused(said(answer)) } else { ObjectError::Unavailable(said(answer)) }
}

fn said(answer: &Response<Bytes>) -> String {
    let message = element(answer, "Message").unwrap_or_else(|| "no further explanation".to_owned());
    format!("{} {}: {message}", answer.status().as_u16(), code(answer))
}

/// The answer's error; of one that succeeded nothing.
fn code(answer: &Response<Bytes>) -> String {
    if answer.status().is_success() {
        return String::new();
    }
    element(answer, "Code").unwrap_or_else(|| "Unknown".to_owned())
}

/// `<Error><Code>NoSuchKey</Code>..`: of so little a parser would be too much.
fn element(answer: &Response<Bytes>, name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(answer.body());
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inside, _) = rest.split_once(&format!("</{name}>"))?;
    Some(inside.chars().take(200).collect())
}
