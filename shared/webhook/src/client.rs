//! Resolve, judge, connect, exchange.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use halyard_domain::outbound::{Allowed, Refusal, Target, refusal_of};
use http::{HeaderMap, Method, StatusCode};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use crate::{
    resolve::{Resolve, SystemResolver},
    tls::Trust,
    wire,
};

/// How long one address may take to take a connection, when there are others to try.
const CONNECT: Duration = Duration::from_secs(4);

/// What a request is.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// How.
    pub method: Method,
    /// Where to.
    pub target: Target,
    /// Headers. `Host`, `Connection`, `Content-Length` and the like are set by the client, whatever stands here.
    pub headers: HeaderMap,
    /// What.
    pub body: Bytes,
}

/// What a request may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Over everything: names, connection, TLS, request, answer.
    pub time: Duration,
    /// Bytes of the answer's body that are kept; the rest is not read.
    pub body: usize,
}

/// What came back, whatever its status; redirects too.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// What was kept of its body, as it came: nothing is unpacked.
    pub body: Bytes,
    /// Was there more?
    pub cut: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It was not sent: the target may not be called.
    #[error("the URL {0}")]
    Refused(#[from] Refusal),
    /// Nobody knows the host.
    #[error("the host name cannot be resolved: {0}")]
    Unresolved(String),
    /// No connection.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// No TLS, or a certificate that is not the host's.
    #[error("no TLS: {0}")]
    Tls(String),
    /// The connection broke before the answer was complete. The request may have been taken.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// What came back is not HTTP/1.1, or its head is too large. The request may have been taken.
    #[error("not an answer in HTTP/1.1: {0}")]
    Protocol(String),
    /// It took too long. The request may have been taken.
    #[error("no complete answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
}

/// Sends requests and brings answers back: [`GuardedClient`], or what stands in for the network.
#[async_trait]
pub trait Outbound: fmt::Debug + Send + Sync {
    /// Sends one request and waits for the answer; redirects are answers.
    ///
    /// # Errors
    /// See [`SendError`].
    async fn send(&self, outgoing: Outgoing, limits: Limits) -> Result<Answer, SendError>;
}

/// Sends requests to targets that strangers have named. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct GuardedClient {
    resolver: Arc<dyn Resolve>,
    allowed: Arc<Allowed>,
    trust: Arc<Trust>,
}

impl GuardedClient {
    /// Over the machine's resolver and its certificate authorities. It connects to nothing yet.
    pub fn new(allowed: Allowed) -> Self {
        Self { resolver: Arc::new(SystemResolver), allowed: Arc::new(allowed), trust: Arc::default() }
    }

    /// With another resolver.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Trusting these authorities too.
    #[must_use]
    pub fn trusting(mut self, authorities: Vec<CertificateDer<'static>>) -> Self {
        self.trust = Arc::new(Trust::with(authorities));
        self
    }

    /// Private targets that may be called.
    pub fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    async fn exchange(&self, outgoing: Outgoing, keep: usize) -> Result<Answer, SendError> {
        let target = outgoing.target.clone();
        let addresses = self.addresses(&target).await?;
        let tcp = connect(&addresses).await?;
        if !target.is_https() {
            return wire::exchange(tcp, outgoing, keep).await;
        }
        let no_tls = |error: String| SendError::Tls(error);
        let config = self.trust.config().map_err(|error| no_tls(error.to_string()))?;
        let name = target.host().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_owned();
        let name = ServerName::try_from(name).map_err(|error| no_tls(error.to_string()))?;
        let tls = TlsConnector::from(config).connect(name, tcp).await.map_err(|error| no_tls(error.to_string()))?;
        wire::exchange(tls, outgoing, keep).await
    }

    /// Every address of the target, once all of them were judged: one bad address among good ones is an attempt at something.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, SendError> {
        let found = match target.address() {
            Some(address) => vec![address],
            None => self.resolved(target.host()).await?,
        };
        for address in &found {
            if let Some(refusal) = refusal_of(*address, Some(target.host()), &self.allowed) {
                return Err(refusal.into());
            }
        }
        Ok(found.into_iter().map(|address| SocketAddr::new(address, target.port())).collect())
    }

    async fn resolved(&self, host: &str) -> Result<Vec<IpAddr>, SendError> {
        let mut found = self.resolver.resolve(host).await.map_err(|error| SendError::Unresolved(error.to_string()))?;
        let mut seen = std::collections::HashSet::new();
        found.retain(|address| seen.insert(*address));
        if found.is_empty() { Err(SendError::Unresolved("it has no address".to_owned())) } else { Ok(found) }
    }
}

#[async_trait]
impl Outbound for GuardedClient {
    /// Dropping the future drops the connection.
    async fn send(&self, outgoing: Outgoing, limits: Limits) -> Result<Answer, SendError> {
        timeout(limits.time, self.exchange(outgoing, limits.body))
            .await
            .unwrap_or(Err(SendError::TimedOut(limits.time)))
    }
}

/// To the first of these addresses that takes a connection. They are addresses, not names: nothing is asked again.
async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, SendError> {
    let mut why = String::new();
    for (at, address) in addresses.iter().enumerate() {
        let last = at + 1 == addresses.len();
        let limit = if last { Duration::MAX } else { CONNECT };
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Requests are small, and written in one go.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => why = format!("{address} does not answer"),
        }
    }
    Err(SendError::Unreachable(why))
}
