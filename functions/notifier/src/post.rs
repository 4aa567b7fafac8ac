//! One attempt: signed, posted, judged.

use std::{panic::AssertUnwindSafe, time::Duration};

use bytes::Bytes;
use chrono::DateTime;
use futures::FutureExt as _;
use halyard_domain::{
    outbound::Target,
    webhook::{Judgement, harmless, judge, next_attempt, retry_after},
};
use halyard_store::webhooks::{Claimed, Outcome, Settled};
use halyard_webhook::{Answer, Limits, Outgoing, SendError};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tokio::time::Instant;

use crate::{body, handler::Notifier, keys::Signing};

/// How long an attempt may take: names, connection, TLS, request and answer.
pub const LIMIT: Duration = Duration::from_secs(15);
/// What is kept of an answer's body, in bytes.
const KEPT: usize = 1_024;
const AGENT: &str = "Halyard-Webhooks/1.0";

/// How an attempt went, before it is known what follows.
struct Attempt {
    status: Option<u16>,
    error: Option<String>,
    response: Option<String>,
    end: End,
}

enum End {
    Delivered,
    Failed { for_good: bool, gone: bool, retry_after: Option<chrono::Duration> },
}

/// Makes one attempt and says what becomes of the delivery.
pub async fn attempt(notifier: &Notifier, delivery: &Claimed, signing: &Signing) -> Settled {
    let began = Instant::now();
    // The neighbours of one that panics are sent, and their outcomes are noted.
    let attempt = AssertUnwindSafe(send(notifier, delivery, signing)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(delivery = %delivery.id, "sending a delivery panicked");
        failed("it could not be sent".to_owned(), false)
    });
    let took = began.elapsed();
    let age = delivery.age + chrono::Duration::from_std(took).unwrap_or_default();
    let outcome = match attempt.end {
        End::Delivered => Outcome::Delivered,
        End::Failed { gone: true, .. } => Outcome::Gone,
        End::Failed { for_good: true, .. } => Outcome::Failed,
        End::Failed { retry_after, .. } => next_attempt(delivery.tries, age, retry_after, notifier.entropy.unit())
            .map_or(Outcome::Failed, Outcome::Again),
    };
    // The URL may carry what only its owner should know: it belongs in no log.
    tracing::info!(
        delivery = %delivery.id, user = %delivery.user_id, event = %delivery.event, tries = delivery.tries,
        status = attempt.status, error = attempt.error.as_deref(), ?outcome, "webhook"
    );
    let Attempt { status, error, response, .. } = attempt;
    Settled { id: delivery.id, fence: delivery.fence, outcome, status, error, response, took }
}

async fn send(notifier: &Notifier, delivery: &Claimed, signing: &Signing) -> Attempt {
    let request = match request(notifier, delivery, signing) {
        Ok(request) => request,
        Err(attempt) => return attempt,
    };
    match notifier.client.send(request, Limits { time: LIMIT, body: KEPT }).await {
        Ok(answer) => answered(&answer, notifier.clock.now()),
        // What may not be called now will not be called later either: whoever changes names to get there gets one attempt.
        Err(error @ SendError::Refused(_)) => failed(error.to_string(), true),
        Err(error) => failed(harmless(error.to_string().as_bytes(), KEPT), false),
    }
}

fn request(notifier: &Notifier, delivery: &Claimed, signing: &Signing) -> Result<Outgoing, Attempt> {
    let target = Target::parse(&delivery.url).map_err(|refusal| failed(format!("the URL {refusal}"), true))?;
    let body = body::body(delivery, &notifier.source).map_err(|error| {
        tracing::error!(delivery = %delivery.id, %error, "a delivery's data make no body");
        failed("it cannot be written down".to_owned(), false)
    })?;
    if signing.is_empty() {
        return Err(failed("it cannot be signed".to_owned(), false));
    }
    let (id, timestamp) = (delivery.id.to_string(), notifier.clock.now().timestamp());
    let signatures: Vec<String> = signing.iter().map(|keys| keys.sign(&id, timestamp, &body)).collect();
    let mut headers = HeaderMap::new();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, body::CONTENT_TYPE);
    set(header::USER_AGENT, AGENT);
    set(header::ACCEPT, "*/*");
    set(HeaderName::from_static("webhook-id"), &id);
    set(HeaderName::from_static("webhook-timestamp"), &timestamp.to_string());
    set(HeaderName::from_static("webhook-signature"), &signatures.join(" "));
    Ok(Outgoing { method: Method::POST, target, headers, body: Bytes::from(body) })
}

fn answered(answer: &Answer, now: DateTime<chrono::Utc>) -> Attempt {
    let status = answer.status.as_u16();
    let text = |name| answer.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let response = (!answer.body.is_empty()).then(|| harmless(&answer.body, KEPT));
    let judgement = judge(status);
    if judgement == Judgement::Delivered {
        return Attempt { status: Some(status), error: None, response, end: End::Delivered };
    }
    let error = match status {
        300..=399 => format!("redirects are not followed: {status}"),
        410 => "the endpoint is gone: 410".to_owned(),
        _ => format!("answered {status}"),
    };
    let retry_after = text(header::RETRY_AFTER).and_then(|value| retry_after(value, now));
    let end = End::Failed { for_good: false, gone: judgement == Judgement::Gone, retry_after };
    Attempt { status: Some(status), error: Some(error), response, end }
}

fn failed(error: String, for_good: bool) -> Attempt {
    Attempt {
        status: None,
        error: Some(error),
        response: None,
        end: End::Failed { for_good, gone: false, retry_after: None },
    }
}
