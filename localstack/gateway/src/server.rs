//! The socket: HTTP/1.1 with keep-alive.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Request,
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    bare::{self, Bare},
    course::Course,
    door,
    event::Response,
    gateway::HttpApi,
};

/// 10 MB: what an HTTP API takes.
/// Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>.
pub(crate) const BODY_LIMIT: usize = 10 * 1024 * 1024;
/// How long a shutdown waits for answers under way: longer than any integration may take.
const FAREWELL: Duration = Duration::from_secs(31);
/// How long a client that got a connection may take to ask for something. Until then it is not closed: hyper would end a
/// connection over which nothing has been read, and the request that is on its way with it.
const FIRST_WORD: Duration = Duration::from_secs(2);
/// Tells a client that its connection ends with this answer.
const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// After a failed accept (no more file descriptors), not at once again.
const BREATH: Duration = Duration::from_millis(50);

/// Serves until told to stop, then lets every connection finish what it is at.
pub(crate) async fn serve(listener: TcpListener, api: Arc<HttpApi>, mut course: Course) {
    let graceful = GracefulShutdown::new();
    let (unheard, mut silence) = watch::channel(0);
    let door = Door { api, course: course.clone(), graceful: &graceful, unheard: Arc::new(unheard) };
    loop {
        let accepted = tokio::select! {
            () = course.gone() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => door.let_in(stream, peer.ip()),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    door::close(listener, |stream, peer| door.let_in(stream, peer.ip())).await;
    let _ = tokio::time::timeout(FIRST_WORD, silence.wait_for(|unheard| *unheard == 0)).await;
    if tokio::time::timeout(FAREWELL, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
}

/// Where connections come in.
struct Door<'g> {
    api: Arc<HttpApi>,
    course: Course,
    graceful: &'g GracefulShutdown,
    /// How many were let in and have not asked for anything yet.
    unheard: Arc<watch::Sender<usize>>,
}

/// Somebody who was let in and has not asked for anything yet.
struct Unheard(Arc<watch::Sender<usize>>);

impl Unheard {
    fn new(count: &Arc<watch::Sender<usize>>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(Arc::clone(count))
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Door<'_> {
    fn let_in(&self, stream: TcpStream, peer: IpAddr) {
        // Answers are small and whole: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let (api, course) = (Arc::clone(&self.api), self.course.clone());
        let unheard = Mutex::new(Some(Unheard::new(&self.unheard)));
        let service = service_fn(move |request| {
            drop(unheard.lock().unwrap_or_else(PoisonError::into_inner).take());
            let (api, course) = (Arc::clone(&api), course.clone());
            // A length beside it would make two readings of where the request ends. RFC 9112, 6.1, has the connection closed
            // then; hyper does not tell of a length that it passed over.
            let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
            async move {
                let mut response = answer(&api, request, peer).await;
                if chunked || course.is_leaving() {
                    response.headers_mut().insert(header::CONNECTION, CLOSE);
                }
                Ok::<_, Infallible>(response.map(Full::new))
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let connection = self.graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // A client that goes away is its own affair.
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}

async fn answer(api: &HttpApi, request: Request<Incoming>, peer: IpAddr) -> Response {
    let (parts, body) = request.into_parts();
    match read(body).await {
        Ok(body) => api.answer(parts, body, peer).await,
        Err(refused) => {
            let mut refused = refused();
            // The rest of the body is not read.
            refused.headers_mut().insert(header::CONNECTION, CLOSE);
            refused
        }
    }
}

async fn read(body: Incoming) -> Result<Bytes, Bare> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(bare::body_too_large);
    }
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(bare::body_too_large),
        Err(_) => Err(bare::bad_request),
    }
}
