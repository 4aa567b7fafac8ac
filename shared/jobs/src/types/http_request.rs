//! `http_request`: calls another service, so that tasks can be written in any language.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use halyard_domain::outbound::Target;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    context::TaskContext,
    input::{InputError, InvalidInput},
    log::LogLevel,
    task::{Task, TaskFailure},
    tools::{Call, CallError, Called, Tools},
};

/// The task type `http_request`.
#[derive(Debug, Clone, Default)]
pub struct HttpRequest {
    tools: Tools,
}

impl HttpRequest {
    /// With these tools.
    pub fn new(tools: Tools) -> Self {
        Self { tools }
    }
}

/// The longest that one call may take, in seconds.
const LONGEST: u32 = 120;
/// Bytes of an answer that are kept.
const KEEP: usize = 1024 * 1024;
/// The most headers.
const MOST_HEADERS: usize = 50;
/// The longest pause that a service may ask for.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);
/// Headers that belong to the connection, or say who calls.
const OWN: [HeaderName; 8] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
];
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A method.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "HttpMethod")]
pub enum Verb {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Head => Method::HEAD,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }
}

/// What is sent, and which answer is a good one. Other fields are tolerated and ignored.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "HttpRequestInput")]
pub struct Input {
    /// Where to: http or https, to an address of the public's.
    #[schemars(url, length(max = 2048))]
    pub url: String,
    /// How.
    #[serde(default)]
    pub method: Verb,
    /// Headers; 50 at most. `Idempotency-Key` is the task's id, the same for every attempt, unless it is given.
    #[serde(default)]
    #[schemars(extend("maxProperties" = MOST_HEADERS))]
    pub headers: BTreeMap<String, String>,
    /// The body: text as it is, anything else as JSON. Without one `input` of the step before, as JSON.
    #[serde(default)]
    pub body: Option<Value>,
    /// What the step before returned.
    #[serde(default)]
    pub input: Option<Value>,
    /// The statuses that are a success; 200 to 299 when none is given.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub expected_status: Vec<u16>,
    /// Seconds that the call may take, 1 to 120.
    #[serde(default = "half_a_minute")]
    #[schemars(range(min = 1, max = LONGEST))]
    pub timeout_seconds: u32,
}

fn half_a_minute() -> u32 {
    30
}

/// What came back.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    status: u16,
    /// Repeated ones joined by a comma.
    headers: BTreeMap<String, String>,
    /// JSON where it is, else text, else base64.
    body: Value,
    /// `json`, `utf-8` or `base64`.
    encoding: &'static str,
    /// Whether the body was longer than what is kept of it.
    truncated: bool,
    duration_ms: u64,
}

impl Task for HttpRequest {
    const TYPE: &'static str = "http_request";
    const DESCRIPTION: &'static str =
        "Calls an HTTP service and returns its answer; what may pass is tried again, when the service says.";
    type Input = Input;
    type Output = Output;

    fn check(input: &Input) -> Result<(), InvalidInput> {
        let mut errors = Vec::new();
        let mut refuse = |pointer: String, code, detail: String| errors.push(InputError::new(pointer, code, detail));
        if let Err(refusal) = Target::parse(&input.url) {
            refuse("/url".to_owned(), refusal.code(), refusal.to_string());
        }
        errors_in(&input.headers, &mut refuse);
        for (at, status) in input.expected_status.iter().enumerate() {
            if !(200..=599).contains(status) {
                let pointer = format!("/expected_status/{at}");
                refuse(pointer, "out_of_range", "must be between 200 and 599".to_owned());
            }
        }
        if !(1..=LONGEST).contains(&input.timeout_seconds) {
            refuse("/timeout_seconds".to_owned(), "out_of_range", "must be between 1 and 120".to_owned());
        }
        if errors.is_empty() { Ok(()) } else { Err(InvalidInput(errors)) }
    }

    async fn run(&self, input: Input, context: TaskContext) -> Result<Output, TaskFailure> {
        let call = call_of(&input, &context)?;
        let began = Instant::now();
        let answer = send(&self.tools, call, &context).await?;
        let wanted = if input.expected_status.is_empty() {
            answer.status.is_success()
        } else {
            input.expected_status.contains(&answer.status.as_u16())
        };
        if !wanted {
            return Err(failure_of(&answer, context.now().into()));
        }
        Ok(output_of(answer, began.elapsed()))
    }
}

/// Refuses headers that a task may not set.
pub(super) fn errors_in(headers: &BTreeMap<String, String>, refuse: &mut impl FnMut(String, &'static str, String)) {
    if headers.len() > MOST_HEADERS {
        refuse("/headers".to_owned(), "too_many", format!("may have {MOST_HEADERS} entries at most"));
    }
    for (name, value) in headers.iter().take(MOST_HEADERS) {
        let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(_)) if OWN.contains(&name) => {
                refuse(pointer, "forbidden_header", "belongs to the connection".to_owned());
            }
            (Ok(_), Ok(_)) => {}
            _ => refuse(pointer, "invalid_format", "is no header".to_owned()),
        }
    }
}

/// The headers that a task set, and who calls.
pub(super) fn headers_of(given: &BTreeMap<String, String>) -> HeaderMap {
    let given = given.iter().filter_map(|(n, v)| Some((n.parse().ok()?, v.parse().ok()?)));
    let mut headers: HeaderMap = given.collect();
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static("halyard"));
    headers
}

/// Where a task calls, which is asked again when it runs.
pub(super) fn target_of(url: &str) -> Result<Target, TaskFailure> {
    Target::parse(url).map_err(|refusal| TaskFailure::permanent("forbidden_target", refusal.to_string()))
}

/// Calls, and waits for the answer, whatever it is, unless the attempt is asked to stop.
pub(super) async fn send(tools: &Tools, call: Call, context: &TaskContext) -> Result<Called, TaskFailure> {
    let Some(web) = &tools.web else {
        return Err(TaskFailure::retryable("no_client", "this worker calls nobody"));
    };
    context.log(LogLevel::Info, format!("{} {}", call.method, call.target));
    let answer = tokio::select! {
        answer = web.call(call) => answer,
        () = context.cancelled() => return Err(TaskFailure::cancelled()),
    };
    let answer = answer.map_err(|error| match error {
        CallError::Refused(why) => TaskFailure::permanent("forbidden_target", why),
        CallError::Failed(why) => TaskFailure::retryable("no_answer", why),
    })?;
    context.log(LogLevel::Info, format!("answered {}, {} bytes", answer.status, answer.body.len()));
    Ok(answer)
}

fn call_of(input: &Input, context: &TaskContext) -> Result<Call, TaskFailure> {
    let target = target_of(&input.url)?;
    let mut headers = headers_of(&input.headers);
    let body = input.body.as_ref().or(input.input.as_ref());
    let (body, kind) = match body {
        None => (Vec::new(), None),
        Some(Value::String(text)) => (text.clone().into_bytes(), Some("text/plain; charset=utf-8")),
        Some(json) => (json.to_string().into_bytes(), Some("application/json")),
    };
    if let Some(kind) = kind {
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
    }
    // A task may run more than once; whoever is called can tell.
    if let Ok(key) = HeaderValue::try_from(format!("\"{}\"", context.task_id())) {
        headers.entry(IDEMPOTENCY_KEY).or_insert(key);
    }
    let limit = Duration::from_secs(input.timeout_seconds.into());
    Ok(Call { method: input.method.method(), target, headers, body, limit, keep: KEEP })
}

/// What follows from an answer that is not a good one.
pub(super) fn failure_of(answer: &Called, now: SystemTime) -> TaskFailure {
    const PASSING: [StatusCode; 3] =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    let said: String = String::from_utf8_lossy(&answer.body).chars().take(200).collect();
    let why = format!("the service answered {}: {said}", answer.status);
    if answer.status.is_redirection() {
        return TaskFailure::permanent(
            "redirected",
            format!("the service answered {}; nothing is followed", answer.status),
        );
    }
    if !answer.status.is_server_error() && !PASSING.contains(&answer.status) {
        return TaskFailure::permanent("unexpected_status", why);
    }
    let asked = answer.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let after = asked.and_then(|text| retry_after(text, now)).map(|pause| pause.min(LONGEST_PAUSE));
    let failure = TaskFailure::retryable("unexpected_status", why);
    match after {
        Some(pause) => failure.after(pause),
        None => failure,
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
pub fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // Senders write GMT; the format is that of RFC 2822 but for the zone's name, which it knows as well.
    let at: SystemTime = chrono::DateTime::parse_from_rfc2822(text).ok()?.into();
    Some(at.duration_since(now).unwrap_or_default())
}

fn output_of(answer: Called, took: Duration) -> Output {
    let mut headers = BTreeMap::<String, String>::new();
    for (name, value) in &answer.headers {
        let text = String::from_utf8_lossy(value.as_bytes());
        let joined = headers.entry(name.as_str().to_owned()).or_default();
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(&text);
    }
    let is_json = headers.get("content-type").is_some_and(|kind| kind.contains("json"));
    let json = is_json.then(|| serde_json::from_slice(&answer.body).ok()).flatten();
    let (body, encoding) = match (json, String::from_utf8(answer.body)) {
        (Some(json), _) => (json, "json"),
        (None, Ok(text)) => (Value::String(text), "utf-8"),
        (None, Err(bytes)) => (Value::String(BASE64_STANDARD.encode(bytes.into_bytes())), "base64"),
    };
    Output {
        status: answer.status.as_u16(),
        headers,
        body,
        encoding,
        truncated: answer.cut,
        duration_ms: took.as_millis().try_into().unwrap_or(u64::MAX),
    }
}
