//! The load generator: keep-alive HTTP/1.1 connections, each with one request in flight.

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use halyard_tests::tls;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpStream;

/// Connections at a time, as the figures are stated.
pub const CONNECTIONS: usize = 16;

/// One keep-alive connection.
pub struct Connection(Way);

enum Way {
    Plain(SendRequest<Full<Bytes>>),
    /// A pool of one, and what stands before each path.
    Tls(Box<Client<HttpsConnector<HttpConnector>, Full<Bytes>>>, String),
}

impl Connection {
    /// Opens a connection.
    pub async fn open(to: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(to).await.map_err(|e| format!("cannot connect to {to}: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let (send, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        tokio::spawn(connection);
        Ok(Self(Way::Plain(send)))
    }

    /// A connection over TLS to `base` (`https://localhost:8443`), made when it is first used, to whoever shows a
    /// certificate of this file.
    pub fn over_tls(base: &str, trusted: &Path) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(tls::connector(Some(trusted)));
        Self(Way::Tls(Box::new(client), base.to_owned()))
    }

    /// Sends one request and reads the whole answer.
    pub async fn call(&mut self, mut request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), String> {
        let response = match &mut self.0 {
            Way::Plain(send) => {
                send.ready().await.map_err(|e| e.to_string())?;
                send.send_request(request).await.map_err(|e| e.to_string())?
            }
            Way::Tls(client, base) => {
                let uri = format!("{base}{}", request.uri()).parse().map_err(|e| format!("{e}"))?;
                *request.uri_mut() = uri;
                client.request(request).await.map_err(|e| format!("{base}: {e:?}"))?
            }
        };
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
        Ok((status, body))
    }
}

/// How to make a request; called once for each.
pub type MakeRequest = Arc<dyn Fn(usize) -> Request<Full<Bytes>> + Send + Sync>;

/// When to stop.
#[derive(Clone, Copy)]
pub enum Until {
    /// After this long.
    Elapsed(Duration),
    /// After this many requests over all connections.
    Count(usize),
}

/// What came of a run.
pub struct Run {
    /// Requests that were answered 200.
    pub answered: usize,
    /// From the first request to the last answer.
    pub took: Duration,
    /// Latencies in microseconds, ascending.
    pub latencies: Vec<u32>,
    /// Bodies, when they were asked for.
    pub bodies: Vec<Bytes>,
    /// The connections, to be used again.
    pub connections: Vec<Connection>,
}

impl Run {
    /// A quantile of the latencies, in milliseconds.
    pub fn quantile_ms(&self, q: f64) -> f64 {
        quantile(&self.latencies, q) / 1000.0
    }

    /// Answers a second.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn per_second(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }
}

/// The quantile of ascending values; zero of none.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
pub fn quantile(ascending: &[u32], q: f64) -> f64 {
    let last = ascending.len().saturating_sub(1);
    ascending.get((last as f64 * q).round() as usize).copied().map_or(0.0, f64::from)
}

/// Runs `make`'s requests over [`CONNECTIONS`] connections. Any answer but 200 ends the run with an error: a figure
/// over refused requests would say nothing.
pub async fn run(to: SocketAddr, until: Until, keep_bodies: bool, make: &MakeRequest) -> Result<Run, String> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(to).await?);
    }
    run_over(connections, until, keep_bodies, make).await
}

/// The same over these connections.
pub async fn run_over(
    connections: Vec<Connection>,
    until: Until,
    keep_bodies: bool,
    make: &MakeRequest,
) -> Result<Run, String> {
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let start = Instant::now();
    let workers: Vec<_> = connections
        .into_iter()
        .map(|connection| {
            tokio::spawn(work(connection, until, start, Arc::clone(&next), keep_bodies, Arc::clone(make)))
        })
        .collect();
    let mut run =
        Run { answered: 0, took: Duration::ZERO, latencies: Vec::new(), bodies: Vec::new(), connections: Vec::new() };
    for worker in workers {
        let (latencies, bodies, connection) = worker.await.map_err(|e| e.to_string())??;
        run.connections.push(connection);
        run.latencies.extend(latencies);
        run.bodies.extend(bodies);
    }
    run.took = start.elapsed();
    run.answered = run.latencies.len();
    run.latencies.sort_unstable();
    Ok(run)
}

async fn work(
    mut connection: Connection,
    until: Until,
    start: Instant,
    next: Arc<std::sync::atomic::AtomicUsize>,
    keep_bodies: bool,
    make: MakeRequest,
) -> Result<(Vec<u32>, Vec<Bytes>, Connection), String> {
    let (mut latencies, mut bodies) = (Vec::new(), Vec::new());
    loop {
        let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let done = match until {
            Until::Elapsed(limit) => start.elapsed() >= limit,
            Until::Count(limit) => n >= limit,
        };
        if done {
            return Ok((latencies, bodies, connection));
        }
        let sent = Instant::now();
        let (status, body) = connection.call(make(n)).await?;
        latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
        if status != StatusCode::OK {
            return Err(format!("answer {status}: {}", String::from_utf8_lossy(&body)));
        }
        if keep_bodies {
            bodies.push(body);
        }
    }
}
