//! Functions behind the Invoke API: what is sent there, and what its answers mean.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, Request, StatusCode},
    response::IntoResponse,
    routing::post,
};
use halyard_cloud::queue::{Outgoing, Queue as _, QueueName};
use halyard_gateway::{InvokeConfig, InvokeError, Naming, RunningGateway, esm::Polled};
use halyard_platform::function::Event;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::Fixture;

type Calls = Arc<Mutex<Vec<(String, HeaderMap, Value)>>>;

/// What an Invoke API answers for each function.
async fn invocations(
    State(calls): State<Calls>,
    Path(function): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    let answer = match (function.as_str(), event["body"].as_str().or(event["rawPath"].as_str())) {
        ("guard", _) => json!({ "isAuthorized": event["identitySource"][0] == "Bearer good", "context": { "who": 7 } }),
        ("work", _) => json!({ "batchItemFailures": [{ "itemIdentifier": event["Records"][0]["messageId"] }] }),
        ("web", Some("/open/error")) => {
            let error = json!({ "errorType": "Unhandled", "errorMessage": "it broke" }).to_string();
            return ([("x-amz-function-error", "Unhandled")], error).into_response();
        }
        ("web", Some("/open/busy")) => return StatusCode::TOO_MANY_REQUESTS.into_response(),
        ("web", Some("/open/broken")) => return StatusCode::BAD_GATEWAY.into_response(),
        ("web", _) => {
            let seen =
                json!({ "who": event["requestContext"]["authorizer"]["lambda"]["who"], "path": event["rawPath"] });
            json!({ "statusCode": 202, "headers": { "content-type": "application/json" }, "body": seen.to_string() })
        }
        _ => json!(null),
    };
    calls.lock().expect("no panic").push((function, headers, event));
    answer.to_string().into_response()
}

async fn start() -> (RunningGateway, Calls, Fixture) {
    let calls = Calls::default();
    let api = Router::new()
        .route("/2015-03-31/functions/{name}/invocations", post(invocations))
        .with_state(Arc::clone(&calls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(serve(listener, api));
    let mut fixture = Fixture::new();
    fixture.change = Box::new(|config| config.invoke = InvokeConfig::LambdaApi { endpoint, naming: Naming::Binary });
    let rest = Fixture { queue: fixture.queue.clone(), clock: Arc::clone(&fixture.clock), ..Fixture::new() };
    (fixture.start().await, calls, rest)
}

async fn serve(listener: tokio::net::TcpListener, api: Router) {
    while let Ok((stream, _)) = listener.accept().await {
        let api = api.clone();
        let service = hyper::service::service_fn(move |request| api.clone().oneshot(request));
        let connection =
            hyper::server::conn::http1::Builder::new().serve_connection(hyper_util::rt::TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}

async fn get(gateway: &RunningGateway, path: &str, token: Option<&str>) -> (u16, Value) {
    let mut request = Request::get(path);
    if let Some(token) = token {
        request = request.header("authorization", token);
    }
    let answer = gateway.request(request.body(Bytes::new()).expect("a request")).await;
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
}

#[tokio::test]
async fn requests_authorizers_and_batches_go_over_the_invoke_api() {
    let (gateway, calls, fixture) = start().await;
    assert_eq!(
        get(&gateway, "/guarded/1", Some("Bearer good")).await,
        (202, json!({ "who": 7, "path": "/guarded/1" }))
    );
    assert_eq!(get(&gateway, "/guarded/1", Some("Bearer bad")).await.0, 403);
    assert_eq!(get(&gateway, "/guarded/1", None).await.0, 401);
    let body = "x".to_owned();
    let message = Outgoing { body, delay: std::time::Duration::ZERO, attributes: Vec::new() };
    fixture.queue.send(&QueueName("jobs".to_owned()), &[message.clone(), message]).await.expect("sent");
    assert_eq!(gateway.poll_once("jobs").await.expect("polled"), Polled { received: 2, deleted: 1 });
    let calls = calls.lock().expect("no panic");
    let names: Vec<&str> = calls.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["guard", "web", "guard", "work"]);
    assert_eq!(calls[0].1["x-amz-invocation-type"], "RequestResponse");
    assert!(calls[1].2.get("httpMethod").is_none(), "payload 2.0 has no such field");
}

#[tokio::test]
async fn its_errors_are_told_apart() {
    let (gateway, ..) = start().await;
    assert_eq!(get(&gateway, "/open/error", None).await.0, 500);
    assert_eq!(get(&gateway, "/open/busy", None).await.0, 503);
    assert_eq!(get(&gateway, "/open/broken", None).await.0, 503);
    let large = Event::Plain(json!("x".repeat(6_300_000)));
    let refused = gateway.invoke("Web", large).await;
    assert!(matches!(refused, Err(InvokeError::RequestTooLarge)), "{refused:?}");
    let counts = gateway.counts("Web");
    assert_eq!((counts.invocations, counts.failures, counts.throttles), (4, 3, 1));
}

#[tokio::test]
async fn nobody_there_is_503() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let mut fixture = Fixture::new();
    fixture.change = Box::new(|config| config.invoke = InvokeConfig::LambdaApi { endpoint, naming: Naming::Name });
    let gateway = fixture.start().await;
    assert_eq!(get(&gateway, "/open/x", None).await, (503, json!({ "message": "Service Unavailable" })));
}
