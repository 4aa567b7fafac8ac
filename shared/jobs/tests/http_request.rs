//! `http_request`: what is sent, and what follows from what comes back.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "support/attempts.rs"]
mod attempts;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use attempts::{attempt, errors};
use halyard_jobs::{
    FailureKind, Registry, TaskFailure, Tools,
    context::Handle,
    tools::{Call, CallError, Called, Web},
    types::http_request::retry_after,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

struct Scripted {
    calls: Arc<Mutex<Vec<Call>>>,
    answer: Result<Called, CallError>,
}

#[async_trait]
impl Web for Scripted {
    async fn call(&self, call: Call) -> Result<Called, CallError> {
        self.calls.lock().unwrap().push(call);
        self.answer.clone()
    }
}

async fn run(data: Value, answer: Result<Called, CallError>) -> (Result<Value, TaskFailure>, Call) {
    let calls = Arc::default();
    let web = Scripted { calls: Arc::clone(&calls), answer };
    let registry = Registry::with_tools(&Tools { web: Some(Arc::new(web)), ..Tools::default() });
    let forever = async |_: &Handle| std::future::pending().await;
    let result = attempt(&registry, "http_request", &data, None, forever).await.unwrap();
    let call = calls.lock().unwrap()[0].clone();
    (result, call)
}

#[expect(clippy::unnecessary_wraps, reason = "what the tool answers")]
fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Result<Called, CallError> {
    let headers = headers.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)));
    let (status, body) = (StatusCode::from_u16(status).unwrap(), body.as_bytes().to_vec());
    Ok(Called { status, headers: headers.collect::<HeaderMap>(), body, cut: false })
}

#[tokio::test]
async fn an_answer_becomes_the_result() {
    let data = json!({"url": "https://api.example.com/v1/things?x=1", "method": "POST", "headers": {"X-Tenant": "blue"},
        "body": {"n": 1}, "expected_status": [201]});
    let (result, call) = run(data, answer(201, &[("content-type", "application/json")], "{\"id\":7}")).await;
    let result = result.unwrap();
    assert_eq!(
        (&result["status"], &result["body"]["id"], &result["encoding"]),
        (&json!(201), &json!(7), &json!("json"))
    );
    assert_eq!((call.method.as_str(), call.target.as_str()), ("POST", "https://api.example.com/v1/things?x=1"));
    assert_eq!(call.body, br#"{"n":1}"#);
    let header = |name: &str| call.headers[name].to_str().unwrap().to_owned();
    assert_eq!((header("x-tenant"), header("content-type")), ("blue".to_owned(), "application/json".to_owned()));
    assert!(header("idempotency-key").starts_with("\"task_"), "the same for every attempt");
}

#[tokio::test]
async fn what_came_back_decides_what_follows() {
    let data = json!({"url": "https://api.example.com/"});
    let failed = async |answer| {
        let failure = run(data.clone(), answer).await.0.unwrap_err();
        (failure.kind, failure.code.into_owned(), failure.after.map(|pause| pause.as_secs()))
    };
    let passing = |code: &str, after| (FailureKind::Retryable, code.to_owned(), after);
    let final_ = |code: &str| (FailureKind::Permanent, code.to_owned(), None);
    assert_eq!(failed(answer(503, &[], "")).await, passing("unexpected_status", None));
    assert_eq!(failed(answer(429, &[("retry-after", "120")], "")).await, passing("unexpected_status", Some(120)));
    assert_eq!(
        failed(answer(503, &[("retry-after", "9999999")], "")).await,
        passing("unexpected_status", Some(86_400))
    );
    assert_eq!(failed(answer(503, &[("retry-after", "soon")], "")).await, passing("unexpected_status", None));
    assert_eq!(failed(answer(404, &[], "no")).await, final_("unexpected_status"));
    assert_eq!(failed(answer(302, &[("location", "http://169.254.169.254/")], "")).await, final_("redirected"));
    assert_eq!(failed(Err(CallError::Refused("no".to_owned()))).await, final_("forbidden_target"));
    assert_eq!(failed(Err(CallError::Failed("no".to_owned()))).await, passing("no_answer", None));
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    assert_eq!(retry_after("5", now), Some(Duration::from_secs(5)));
    assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(Duration::from_mins(1)));
    assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO), "it is past");
    assert_eq!(retry_after("tomorrow", now), None);
}

#[test]
fn what_may_not_be_asked_is_named() {
    let at = |pointer: &str, code| vec![(pointer.to_owned(), code)];
    let errors = |data: Value| errors("http_request", &data);
    assert_eq!(errors(json!({})), at("/url", "required"));
    assert_eq!(errors(json!({"url": "ftp://example.com"})), at("/url", "invalid_format"));
    assert_eq!(errors(json!({"url": "https://a:b@example.com"})), at("/url", "user_info"));
    assert_eq!(errors(json!({"url": "https://example.com:22"})), at("/url", "forbidden_port"));
    let with = |name: &str, value: &str| json!({"url": "https://example.com", "headers": {name: value}});
    assert_eq!(errors(with("Host", "other")), at("/headers/Host", "forbidden_header"));
    assert_eq!(errors(with("X-A", "a\r\nb")), at("/headers/X-A", "invalid_format"));
    assert_eq!(errors(with("a b", "c")), at("/headers/a b", "invalid_format"));
    assert_eq!(errors(json!({"url": "https://example.com", "method": "TRACE"})), at("/method", "invalid_value"));
    assert_eq!(
        errors(json!({"url": "https://example.com", "timeout_seconds": 0})),
        at("/timeout_seconds", "out_of_range")
    );
}
