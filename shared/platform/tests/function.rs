//! Functions as a host that has them linked in runs them.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::sync::Arc;

use async_trait::async_trait;
use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use axum::{
    Router,
    http::HeaderMap,
    routing::{get, post},
};
use chrono::{DateTime, Duration, Utc};
use halyard_config::{NodeConfig, Vars};
use halyard_domain::{Clock, Entropy, ManualClock};
use halyard_platform::{Answer, Event, Function, FunctionError, Handler, Host, Invocation, Node};
use serde_json::{Value, json};

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn invocation() -> Invocation {
    Invocation { aws_request_id: "1".to_owned(), deadline: start() + Duration::seconds(30) }
}

fn event(value: Value) -> Event {
    Event::Http(Box::new(serde_json::from_value::<ApiGatewayV2httpRequest>(value).unwrap()))
}

fn request(method: &str, path: &str, query: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
        "headers": {"host": "api.example", "x-forwarded-proto": "http"},
        "cookies": ["a=1", "b=2"],
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "192.0.2.7"}, "stage": "$default",
            "domainName": "api.example", "timeEpoch": 0
        },
        "isBase64Encoded": false
    })
}

fn function() -> Function {
    let router = Router::new()
        .route("/text", get(async || "hello"))
        .route("/bytes", get(async || [0_u8, 255].to_vec()))
        .route("/echo", post(async |headers: HeaderMap, body: String| format!("{:?} {body}", headers["cookie"])));
    Function::http(router)
}

async fn call(event: Event) -> lambda_http::Response<lambda_http::Body> {
    match function().invoke(event, invocation()).await.unwrap() {
        Answer::Http(response) => response,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_reaches_the_router_and_its_answer_is_text_or_bytes() {
    let text = call(event(request("GET", "/text", ""))).await;
    assert_eq!(*text.body(), lambda_http::Body::Text("hello".to_owned()));
    let bytes = call(event(request("GET", "/bytes", ""))).await;
    assert_eq!(*bytes.body(), lambda_http::Body::Binary(vec![0, 255]));
}

#[tokio::test]
async fn cookies_and_encoded_bodies_arrive() {
    let mut sent = request("POST", "/echo", "");
    sent["body"] = json!("aGFsbG8=");
    sent["isBase64Encoded"] = json!(true);
    let answer = call(event(sent)).await;
    assert_eq!(*answer.body(), lambda_http::Body::Text("\"a=1; b=2\" hallo".to_owned()));
}

#[tokio::test]
async fn an_event_that_is_no_request_fails_the_invocation_and_nothing_else() {
    let mut sent = request("POST", "/echo", "");
    sent["body"] = json!("not base64!");
    sent["isBase64Encoded"] = json!(true);
    assert!(function().invoke(event(sent), invocation()).await.is_err());
    assert!(function().invoke(Event::Plain(json!({})), invocation()).await.is_err());
}

struct Echo;

#[async_trait]
impl Handler<Value, Value> for Echo {
    async fn handle(&self, event: Value, invocation: Invocation) -> Result<Value, FunctionError> {
        Ok(json!({"event": event, "id": invocation.aws_request_id}))
    }
}

#[tokio::test]
async fn a_plain_function_gets_the_payload_as_it_is() {
    let answer = Function::plain(Echo).invoke(Event::Plain(json!({"a": 1})), invocation()).await.unwrap();
    assert!(matches!(answer, Answer::Plain(v) if v == json!({"event": {"a": 1}, "id": "1"})));
}

fn host(vars: Vars) -> Host {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(start()));
    Host::new(vars, "status", clock, Arc::new(Entropy::seeded(1)), None)
}

#[tokio::test]
async fn a_twin_is_only_given_by_a_host_that_brings_one() {
    let host = host([("HALYARD_CLOUD", "twin")].into_iter().collect());
    assert!(host.queue().await.unwrap_err().to_string().contains("HALYARD_CLOUD"));
    assert!(host.table().await.is_err());
}

#[tokio::test]
async fn a_function_starts_without_redis() {
    let vars = [("HALYARD_ENV", "local"), ("REDIS_URL", "redis://127.0.0.1:1/0")];
    assert!(host(vars.into_iter().collect()).http_context().await.is_ok());
}

#[test]
fn a_heartbeat_is_due_every_ten_seconds_and_a_frozen_host_says_nothing() {
    let config = NodeConfig {
        id: Some("n".to_owned()),
        role: None,
        capacity: None,
        port: None,
        version: "1".to_owned(),
        real_host: false,
    };
    let node = Node::new(&config);
    assert!(node.beat_due(start()));
    assert!(!node.beat_due(start() + Duration::seconds(9)));
    assert!(node.beat_due(start() + Duration::seconds(10)));
    assert_eq!(node.usage(), halyard_platform::HostUsage::default());
    let real = Node::new(&NodeConfig { real_host: true, ..config }).usage();
    assert!(real.memory.is_some_and(|m| (0.0..=100.0).contains(&m)), "{real:?}");
}
