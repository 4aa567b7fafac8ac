//! The socket: HTTP/1.1 with keep-alive.

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

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
use tokio::{net::TcpListener, sync::watch};

use crate::{
    bare::{self, Bare},
    event::Response,
    gateway::HttpApi,
};

/// 10 MB: what an HTTP API takes.
/// Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>.
pub(crate) const BODY_LIMIT: usize = 10 * 1024 * 1024;
/// How long a shutdown waits for answers under way: longer than any integration may take.
const FAREWELL: Duration = Duration::from_secs(31);
/// After a failed accept (no more file descriptors), not at once again.
const BREATH: Duration = Duration::from_millis(50);

/// Serves until told to stop, then lets every connection finish what it is at.
pub(crate) async fn serve(listener: TcpListener, api: Arc<HttpApi>, mut stop: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        // Answers are small and whole: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let (api, peer) = (Arc::clone(&api), peer.ip());
        let service = service_fn(move |request| {
            let api = Arc::clone(&api);
            async move { Ok::<_, Infallible>(answer(&api, request, peer).await.map(Full::new)) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // A client that goes away is its own affair.
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(FAREWELL, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
}

async fn answer(api: &HttpApi, request: Request<Incoming>, peer: IpAddr) -> Response {
    let (parts, body) = request.into_parts();
    match read(body).await {
        Ok(body) => api.answer(parts, body, peer).await,
        Err(refused) => {
            let mut refused = refused();
            // The rest of the body is not read.
            refused.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
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
