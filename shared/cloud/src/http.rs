//! The HTTP client under the AWS SDK: HTTP/1.1, which is what SQS, `DynamoDB` and Secrets Manager speak.
//!
//! The SDK's own client can also speak HTTP/2, find proxies and keep several pools; that is a third of a megabyte in the
//! zip of every function. This one is hyper's, which the Lambda runtime brings anyway.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::{body::SdkBody, error::display::DisplayErrorContext, retry::ErrorKind};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector as Tcp},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore};

/// Whether certificates will have to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The machine's certificate authorities.
    Machine,
    /// Nobody: a plain emulator. Reading the authorities takes longer than everything else that an environment opens.
    Nobody,
}

/// One pool of connections, shared by the SDK's clients of one execution environment.
#[derive(Clone)]
pub(crate) struct Http(Client<HttpsConnector<Tcp>, SdkBody>);

impl Http {
    /// A client that gives up connecting after `connect`; how long an answer may take the SDK decides.
    pub fn new(trust: Trust, connect: Duration) -> Self {
        let mut tcp = Tcp::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(connect));
        let tls = ClientConfig::builder().with_root_certificates(roots(trust)).with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        Self(Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector))
    }
}

impl Http {
    /// One request by itself, for what the SDK has no client here. How long it takes the caller decides.
    pub async fn send(&self, request: ::http::Request<SdkBody>) -> Result<::http::Response<Incoming>, String> {
        self.0.request(request).await.map_err(|error| DisplayErrorContext(&error).to_string())
    }
}

fn roots(trust: Trust) -> Arc<RootCertStore> {
    let mut store = RootCertStore::empty();
    if trust == Trust::Machine {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a certificate authority of this machine cannot be read");
        }
        let (good, _) = store.add_parsable_certificates(found.certs);
        if good == 0 {
            tracing::error!("this machine has no certificate authorities: AWS cannot be trusted");
        }
    }
    Arc::new(store)
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl HttpClient for Http {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let answer = self.0.request(request);
        HttpConnectorFuture::new(async move {
            let response = answer.await.map_err(sorted)?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// What the SDK wants to know of an error: whether another attempt may help.
fn sorted(error: hyper_util::client::legacy::Error) -> ConnectorError {
    let Some(inner) = source::<hyper::Error>(&error) else {
        let broken = error.is_connect() || source::<io::Error>(&error).is_some();
        return if broken { ConnectorError::io(error.into()) } else { ConnectorError::other(error.into(), None) };
    };
    if inner.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if inner.is_user() {
        ConnectorError::user(error.into())
    } else if inner.is_closed() || inner.is_canceled() || source::<io::Error>(inner).is_some() {
        ConnectorError::io(error.into())
    } else if inner.is_incomplete_message() {
        // A connection that the other side closed while we wrote.
        ConnectorError::other(error.into(), Some(ErrorKind::TransientError))
    } else {
        ConnectorError::other(error.into(), None)
    }
}

fn source<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
}
