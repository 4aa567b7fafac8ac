//! One request over one connection.

use std::{io, pin::pin};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::client::{Answer, Outgoing, SendError};

/// The largest head of an answer, in bytes, and the most headers in it.
const HEAD: usize = 32 * 1024;
const HEADERS: usize = 100;

/// Speaks HTTP/1.1 over `io` and reads `keep` bytes of the answer's body at most.
pub async fn exchange<I>(io: I, outgoing: Outgoing, keep: usize) -> Result<Answer, SendError>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = request(outgoing)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        .handshake::<_, Full<Bytes>>(TokioIo::new(io))
        .await
        .map_err(|error| broken(&error))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let (head, mut body) = response.into_parts();
        let (mut kept, mut cut) = (BytesMut::new(), false);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
            let room = keep - kept.len();
            kept.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                cut = true;
                break;
            }
        }
        Ok(Answer { status: head.status, headers: head.headers, body: kept.freeze(), cut })
    };
    // The connection is driven here and nowhere else: when the answer is there, or the caller gives up, it is gone.
    let (mut answer, mut connection) = (pin!(answer), pin!(connection));
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        // It may end together with the answer.
        _ = &mut connection => answer.await,
    }
}

fn request(outgoing: Outgoing) -> Result<Request<Full<Bytes>>, SendError> {
    let Outgoing { method, target, mut headers, body } = outgoing;
    let unsendable = |error: http::Error| SendError::Protocol(error.to_string());
    // How the message travels is not for the caller to say.
    for name in [
        header::HOST,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
        header::EXPECT,
        header::PROXY_AUTHORIZATION,
    ] {
        headers.remove(name);
    }
    let host = HeaderValue::from_str(&target.authority()).map_err(|error| unsendable(error.into()))?;
    headers.insert(header::HOST, host);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let mut request = Request::builder().method(method).uri(target.path_and_query());
    if let Some(all) = request.headers_mut() {
        *all = headers;
    }
    request.body(Full::new(body)).map_err(unsendable)
}

/// What a person can make something of: hyper says little, the cause says it.
fn broken(error: &hyper::Error) -> SendError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if let Some(io) = cause.downcast_ref::<io::Error>() {
        return SendError::Broken(io.to_string());
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return SendError::Broken("the connection was closed before the answer was complete".to_owned());
    }
    SendError::Protocol(error.to_string())
}
