//! Records what is asked of AWS where nothing can go past: on the wire, in front of an emulator.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use serde_json::Value;
use tokio::net::TcpListener;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// `sqs`, `dynamodb`, `secretsmanager`: what the request was signed for.
    pub service: String,
    /// `SendMessageBatch`: the operation of `X-Amz-Target`, or else method and path.
    pub operation: String,
    /// The queue's name, the table's name or the secret's, as the body names it.
    pub resource: String,
}

/// A proxy in front of an endpoint of AWS.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Recorder {
    /// In front of `endpoint` (`http://host:port`).
    pub async fn before(endpoint: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let calls = Arc::new(Mutex::new(Vec::new()));
        let upstream = endpoint.trim_end_matches('/').to_owned();
        let shared = Arc::clone(&calls);
        let client = Client::builder(TokioExecutor::new()).build_http();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (upstream, calls, client) = (upstream.clone(), Arc::clone(&shared), client.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        let (upstream, calls, client) = (upstream.clone(), Arc::clone(&calls), client.clone());
                        async move { Ok::<_, Infallible>(forward(&upstream, &calls, &client, request).await) }
                    });
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { address, calls, server }
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every call since it was last asked, in order.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The operations since it was last asked, each once: `sqs:SendMessageBatch`.
    pub fn take_operations(&self) -> BTreeSet<String> {
        self.take().into_iter().map(|call| format!("{}:{}", call.service, call.operation)).collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Forward = Client<HttpConnector, Full<Bytes>>;

async fn forward(
    upstream: &str,
    calls: &Mutex<Vec<Call>>,
    client: &Forward,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (mut parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return failed() };
    let body = body.to_bytes();
    let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    // `AWS4-HMAC-SHA256 Credential=key/20261123/us-east-1/sqs/aws4_request, SignedHeaders=..`
    let service = header("authorization").split('/').nth(3).unwrap_or_default().to_owned();
    let target = header("x-amz-target");
    let operation = match target.rsplit('.').next() {
        // A service without targets (REST) says it by method and path.
        None | Some("") => format!("{} {}", parts.method, parts.uri.path()),
        Some(operation) => operation.to_owned(),
    };
    let call = Call { service, operation, resource: resource(&body) };
    calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let Ok(uri) = format!("{upstream}{path}").parse::<Uri>() else { return failed() };
    parts.uri = uri;
    let Ok(answer) = client.request(Request::from_parts(parts, Full::new(body))).await else { return failed() };
    let (parts, body) = answer.into_parts();
    let Ok(body) = body.collect().await else { return failed() };
    Response::from_parts(parts, Full::new(body.to_bytes()))
}

fn failed() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

fn resource(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let queue = text("QueueUrl").map(|url| url.rsplit('/').next().unwrap_or_default().to_owned());
    let batch = || body["RequestItems"].as_object()?.keys().next().cloned();
    queue.or_else(|| text("TableName")).or_else(|| text("SecretId")).or_else(batch).unwrap_or_default()
}
