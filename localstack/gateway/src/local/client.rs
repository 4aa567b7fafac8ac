//! A small JSON client over HTTP/1.1, for the demonstration and the health check.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// How long one answer may take: longer than the gateway waits for a function.
const PATIENCE: Duration = Duration::from_secs(35);

/// A client of one base URL.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    token: Option<String>,
    pool: Pool<HttpConnector, Full<Bytes>>,
}

/// An answer that is JSON, or `null` where it is not.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// What to tell a person about an answer that was not expected.
    pub fn complaint(&self) -> String {
        let text = |name: &str| self.body[name].as_str().map(str::to_owned);
        let detail = text("detail").or_else(|| text("title")).or_else(|| text("message")).unwrap_or_default();
        format!("{} {detail}", self.status).trim_end().to_owned()
    }
}

impl Client {
    /// For `http://host:port`.
    pub fn new(base: &str) -> Self {
        let pool = Pool::builder(TokioExecutor::new()).build_http();
        Self { base: base.trim_end_matches('/').to_owned(), token: None, pool }
    }

    /// The base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A client that sends the token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// GET.
    ///
    /// # Errors
    /// When no answer came; the text says why.
    pub async fn get(&self, path: &str) -> Result<Answer, String> {
        self.send(Method::GET, path, None).await
    }

    /// POST of a JSON body.
    ///
    /// # Errors
    /// When no answer came; the text says why.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, String> {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, String> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::from(body)).map_err(|e| e.to_string())?;
        let answer = async {
            let response = self.pool.request(request).await.map_err(|e| e.to_string())?;
            let status = response.status();
            let bytes = response.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
            Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
        };
        let late = |_| "no answer in time".to_owned();
        tokio::time::timeout(PATIENCE, answer).await.map_err(late)?.map_err(|e: String| format!("{}: {e}", self.base))
    }
}

/// Does Halyard answer there?
pub async fn healthy(address: SocketAddr) -> bool {
    let answer = Client::new(&format!("http://{address}")).get("/health/ping").await;
    answer.is_ok_and(|a| a.status == StatusCode::OK && a.body["status"] == "healthy")
}
