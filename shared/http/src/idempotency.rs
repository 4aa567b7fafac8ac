//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): what the guard does with it, and the ids that a request
//! makes things with.
//!
//! A key is taken hold of before the handler runs, with the id that it will use, and its record gets the answer afterwards.
//! A request that dies in between leaves its id behind: whoever sends it again uses the same one, and what it has made
//! already is found, not made twice.

use std::future::Future;

use async_trait::async_trait;
use axum::{
    body::Body,
    extract::{FromRequestParts, Request},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use halyard_domain::{
    UserId,
    idempotency::{Asked, Begun, Fingerprint, Held, IdempotencyKey, KeptAnswer, nth_id},
};
use http::{HeaderName, HeaderValue, StatusCode, header, request::Parts};
use http_body_util::BodyExt as _;
use uuid::Uuid;

use crate::{HttpContext, Problem, Repeats, RequestInfo, extract::read_body, problem::rendered};

/// The key of a request.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// `true` on an answer that was given before.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Seconds after which to ask again for the answer of a request that is under way.
const RUNNING_RETRY: u32 = 1;
/// Seconds after which the store of keys may be there again.
const STORE_RETRY: u32 = 2;

/// The store of keys cannot be reached.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store of idempotency keys is unavailable: {0}")]
pub struct KeysDown(pub String);

/// Remembers keys, exactly, whoever asks at the same time.
#[async_trait]
pub trait IdempotencyKeys: Send + Sync + std::fmt::Debug {
    /// Takes hold of a user's key, or says why it cannot be had.
    async fn begin(
        &self,
        user: UserId,
        key: &IdempotencyKey,
        asked: &Asked,
        now: DateTime<Utc>,
    ) -> Result<Begun, KeysDown>;

    /// Keeps the answer of a request that was carried out.
    async fn keep(&self, held: &Held, answer: KeptAnswer) -> Result<(), KeysDown>;

    /// Lets go of the key of a request that may be sent again.
    async fn release(&self, held: &Held, now: DateTime<Utc>) -> Result<(), KeysDown>;
}

/// Calls the handler, at most once for one key.
pub(crate) async fn once<F: Future<Output = Response>>(
    ctx: &HttpContext,
    info: &RequestInfo,
    mut request: Request,
    call: impl FnOnce(Request) -> F,
) -> Response {
    let keyed = matches!(info.route().repeats, Repeats::Keyed | Repeats::KeyedSecret);
    let Some(user) = info.principal().map(|p| p.user_id).filter(|_| keyed) else { return call(request).await };
    let key = match key_of(&request) {
        Ok(None) => return call(request).await,
        Ok(Some(key)) => key,
        Err(problem) => return problem.into_response(),
    };
    let Some(keys) = ctx.keys() else {
        return Problem::internal_text("a route that takes keys, and nowhere to keep them").into_response();
    };
    let (parts, body) = request.into_parts();
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let (now, path) = (info.now(), parts.uri.path().to_owned());
    let target = parts.uri.path_and_query().map_or(parts.uri.path(), |target| target.as_str());
    let random: [u8; 16] = ctx.entropy().bytes();
    let asked = Asked {
        fingerprint: Fingerprint::of(parts.method.as_str(), target, &body),
        first_id: ctx.entropy().ulid(now),
        owner: format!("{:032x}", u128::from_be_bytes(random)),
    };
    let held = match keys.begin(user, &key, &asked, now).await {
        Ok(Begun::Held(held)) => held,
        Ok(Begun::Replay(answer)) => return replay(answer),
        Ok(Begun::Mismatch) => return reused().into_response(),
        Ok(Begun::Running) => return running().into_response(),
        // Carrying it out without a record might be the second time.
        Err(KeysDown(why)) => {
            let detail = "nobody can say now whether this request was carried out";
            return Problem::unavailable(detail, STORE_RETRY).with_source(why).into_response();
        }
    };
    request = Request::from_parts(parts, Body::from(body));
    request.extensions_mut().insert(Reserved { first: held.record.first_id, again: held.again });
    let response = call(request).await;
    if response.status().is_server_error() {
        // The guard logs what is wrong, and renders it.
        release(keys, &held, info.now()).await;
        return response;
    }
    // Any other problem is said as this request's for good: its `instance` and `request_id` are repeated with it.
    let response = rendered(response, &path, info.request_id().as_str());
    settle(keys, info, &held, response).await
}

async fn release(keys: &dyn IdempotencyKeys, held: &Held, now: DateTime<Utc>) {
    if let Err(error) = keys.release(held, now).await {
        tracing::warn!(%error, "a key stays taken until its lease ends");
    }
}

/// Keeps a final answer; lets go of the key when the request may be sent again.
async fn settle(keys: &dyn IdempotencyKeys, info: &RequestInfo, held: &Held, response: Response) -> Response {
    if !is_final(&response) {
        release(keys, held, info.now()).await;
        return response;
    }
    let (parts, body) = response.into_parts();
    // A handler's answer is in memory already: nothing is waited for here.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let secret = info.route().repeats == Repeats::KeyedSecret && parts.status.is_success();
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let answer = KeptAnswer {
        status: parts.status.as_u16(),
        headers: parts.headers.iter().filter_map(|(n, v)| Some((n.as_str().to_owned(), text(v)?))).collect(),
        body: std::str::from_utf8(&body).ok().filter(|_| !secret).map(str::to_owned),
    };
    if let Err(error) = keys.keep(held, answer).await {
        // What was made is there, under its id: the request may be sent again once its lease has ended.
        tracing::warn!(%error, "an answer was not kept");
    }
    Response::from_parts(parts, Body::from(body))
}

/// Is there nothing to be gained by sending the request again? Not so where the answer says when to come again, and where it
/// is about the caller's credential.
fn is_final(response: &Response) -> bool {
    const ABOUT_THE_CALLER: [StatusCode; 2] = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
    let comes_again =
        response.status() == StatusCode::TOO_MANY_REQUESTS || response.headers().contains_key(header::RETRY_AFTER);
    !(comes_again || ABOUT_THE_CALLER.contains(&response.status()))
}

fn key_of(request: &Request) -> Result<Option<IdempotencyKey>, Problem> {
    let refused = |why: String| Problem::bad_request("invalid_idempotency_key", why);
    let mut values = request.headers().get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refused("there is more than one Idempotency-Key".to_owned()));
    }
    let key = IdempotencyKey::parse(value.as_bytes());
    key.map(Some).map_err(|why| refused(format!("the Idempotency-Key cannot be used: {why}")))
}

fn replay(answer: KeptAnswer) -> Response {
    let Some(body) = answer.body else {
        let detail = "this request was carried out, and its answer is not kept; look for what it has made";
        return Problem::conflict("idempotency_answer_not_kept", detail).into_response();
    };
    let mut response = Response::new(Body::from(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    response
}

fn reused() -> Problem {
    let detail = "this Idempotency-Key was another request's: method, path and body must be the same";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail)
}

fn running() -> Problem {
    let detail = "a request with this Idempotency-Key is under way";
    Problem::conflict("idempotency_in_progress", detail).with_retry_after(RUNNING_RETRY)
}

/// The ids that the request's key stands for.
#[derive(Debug, Clone, Copy)]
struct Reserved {
    first: Uuid,
    again: bool,
}

/// Makes the ids of what a request creates: with an `Idempotency-Key` the same ones each time that the request is carried
/// out, in the order in which they are asked for; else new ones.
#[derive(Debug)]
pub struct NewIds {
    ctx: HttpContext,
    reserved: Option<Reserved>,
    made: u32,
}

impl NewIds {
    /// The next id, a ULID.
    pub fn make(&mut self) -> Uuid {
        let Some(Reserved { first, .. }) = self.reserved else {
            return self.ctx.entropy().ulid(self.ctx.clock().now());
        };
        let n = self.made;
        self.made += 1;
        nth_id(first, n)
    }

    /// Was the request begun before, so that there may be things with these ids? Then an id that is taken is no fault, and
    /// what has it is the answer.
    pub fn again(&self) -> bool {
        self.reserved.is_some_and(|reserved| reserved.again)
    }
}

impl<S: Sync> FromRequestParts<S> for NewIds {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let ctx = RequestInfo::of(parts)?.context().clone();
        Ok(Self { ctx, reserved: parts.extensions.get::<Reserved>().copied(), made: 0 })
    }
}
