//! How a request reaches the system: in process, or over HTTP to a base URL.

use std::{fmt, future::Future, path::Path, pin::Pin};

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::{response::TestResponse, tls};

/// A future that owns what it needs.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Sends requests. The error is a sentence: nobody answered.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends one request.
    fn try_send(&self, request: Request<Bytes>) -> Boxed<'_, Result<TestResponse, String>>;
}

/// Over HTTP, with or without TLS.
#[derive(Debug, Clone)]
pub struct Remote {
    base: String,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Remote {
    /// To `base`, for example `http://127.0.0.1:8080`. For `https` the file `HALYARD_CA_FILE` says whom to trust, else the
    /// system.
    pub fn new(base: &str) -> Self {
        Self::with(base, tls::ca_file().as_deref())
    }

    /// To `base`, which may only show a certificate of this PEM file.
    pub fn trusting(base: &str, ca: &Path) -> Self {
        Self::with(base, Some(ca))
    }

    fn with(base: &str, ca: Option<&Path>) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(tls::connector(ca));
        Self { base: base.trim_end_matches('/').to_owned(), client }
    }
}

impl Transport for Remote {
    fn try_send(&self, request: Request<Bytes>) -> Boxed<'_, Result<TestResponse, String>> {
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
            parts.uri = format!("{}{path}", self.base).parse::<Uri>().map_err(|e| e.to_string())?;
            let request = Request::from_parts(parts, Full::new(body));
            let response = self.client.request(request).await.map_err(|e| format!("{}: {e:?}", self.base))?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
            Ok(TestResponse { status: parts.status, headers: parts.headers, body })
        })
    }
}
