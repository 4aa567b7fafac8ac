//! The local inbox: every mail that left, at `/_local/mail` in a browser and `/_local/mail.json` for tests. It is no part of
//! the API: only a gateway that was given an [`Inbox`] has it, for callers on this machine, under a name of this machine.

mod emulator;
mod page;

use std::{fmt, net::IpAddr};

use async_trait::async_trait;
use bytes::Bytes;
use halyard_cloud::mail::{Kept, MailError, MailTwin};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use serde_json::json;

pub use emulator::EmulatorInbox;

use crate::event::Response;

/// Where it is.
const PATH: &str = "/_local/mail";

/// Mails that were sent.
#[async_trait]
pub trait Inbox: Send + Sync + fmt::Debug {
    /// All of them, the newest first.
    async fn mails(&self) -> Result<Vec<Kept>, MailError>;
}

#[async_trait]
impl Inbox for MailTwin {
    async fn mails(&self) -> Result<Vec<Kept>, MailError> {
        Self::mails(self)
    }
}

/// Is this request for the inbox, and from somebody who may look into it?
pub(crate) fn is_asked_for(parts: &Parts, peer: IpAddr) -> bool {
    let path = parts.uri.path().strip_prefix(PATH);
    let ours = path.is_some_and(|rest| rest.is_empty() || rest == ".json" || rest.starts_with('/'));
    ours && peer.to_canonical().is_loopback() && !was_forwarded(&parts.headers) && host_is_local(&parts.headers)
}

/// Behind a proxy on this machine everybody comes from this machine.
fn was_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED)
}

/// A page of another site can give itself a name that leads here; a browser then sends that name.
fn host_is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let host = host.to_str().unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    ["localhost", "127.0.0.1", "[::1]"].contains(&name)
}

/// Answers a request for the inbox.
pub(crate) async fn answer(inbox: &dyn Inbox, parts: &Parts) -> Response {
    if parts.method != Method::GET {
        return page::plain(StatusCode::METHOD_NOT_ALLOWED, "the inbox can only be read");
    }
    let mails = match inbox.mails().await {
        Ok(mails) => mails,
        Err(error) => return page::plain(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    };
    let path = parts.uri.path().strip_prefix(PATH).unwrap_or_default();
    if path == ".json" {
        return json_of(&mails);
    }
    let (id, html) = match path.trim_start_matches('/') {
        "" => return page::list(&mails),
        rest => rest.strip_suffix("/html").map_or((rest, false), |id| (id, true)),
    };
    match mails.iter().find(|mail| mail.id == id) {
        Some(mail) if html => page::body(mail),
        Some(mail) => page::mail(mail),
        None => page::plain(StatusCode::NOT_FOUND, "there is no such mail"),
    }
}

fn json_of(mails: &[Kept]) -> Response {
    let mut response = Response::new(Bytes::from(json!({ "mails": mails }).to_string()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
