//! Request authorizers with simple responses, and the cache of their answers.
//!
//! Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html>. The key of
//! the cache is the authorizer and the values of its identity sources, for all routes that use it; allowed and denied
//! are both kept, errors never; without identity sources nothing is kept.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use chrono::{DateTime, Utc};
use halyard_domain::Clock;
use halyard_platform::function::{Answer, Event};
use serde_json::Value;

use crate::{
    event::{authorizer_event, identity_values},
    invoke::Invoke,
    template::Authorizer,
};

/// API Gateway waits no longer for an authorizer.
const LIMIT: Duration = Duration::from_secs(10);
/// So many answers are kept; beyond it those that have expired go, and if none has, all.
const CAPACITY: usize = 10_000;

/// What an authorizer adds to `requestContext.authorizer.lambda`.
pub type Context = Arc<HashMap<String, Value>>;

/// Why a request does not reach its function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// An identity source is missing: 401.
    Unauthorized,
    /// The authorizer said no: 403.
    Forbidden,
    /// The authorizer failed: 500.
    Failed(String),
}

#[derive(Debug, Clone)]
enum Verdict {
    Allow(Context),
    Deny,
}

/// The authorizers of an API, with their cache.
#[derive(Debug)]
pub struct Authorizers {
    clock: Arc<dyn Clock>,
    cache: Mutex<HashMap<String, (DateTime<Utc>, Verdict)>>,
    /// Whoever misses waits for whoever asked first; an error is shared with nobody.
    asking: Turns,
}

impl Authorizers {
    /// With an empty cache.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, cache: Mutex::default(), asking: Mutex::default() }
    }

    /// Lets a request pass with a context, or refuses it.
    pub async fn authorize(
        &self,
        authorizer: &Authorizer,
        event: &ApiGatewayV2httpRequest,
        route_arn: impl FnOnce() -> String,
        invoke: &dyn Invoke,
    ) -> Result<Context, Refusal> {
        if authorizer.identity_source.is_empty() {
            return ask(authorizer, event, route_arn(), None, invoke).await.and_then(Verdict::into_result);
        }
        let identity = identity_values(&authorizer.identity_source, event).ok_or(Refusal::Unauthorized)?;
        if authorizer.ttl.is_zero() {
            return ask(authorizer, event, route_arn(), Some(identity), invoke).await.and_then(Verdict::into_result);
        }
        let key = cache_key(&authorizer.id, &identity);
        if let Some(verdict) = self.cached(&key) {
            return verdict.into_result();
        }
        let turn = Turn::of(&self.asking, &key);
        let answered = async {
            let _mine = turn.lock.lock().await;
            if let Some(verdict) = self.cached(&key) {
                return Ok(verdict);
            }
            // What is kept is as old as the question, not as the answer.
            let until = self.clock.now() + authorizer.ttl;
            ask(authorizer, event, route_arn(), Some(identity), invoke).await.inspect(|verdict| {
                self.keep(key.clone(), until, verdict.clone());
            })
        };
        // The wait for one's turn counts, too.
        let verdict = tokio::time::timeout(LIMIT, answered).await.unwrap_or_else(|_| Err(too_slow()));
        verdict.and_then(Verdict::into_result)
    }

    /// Forgets every answer (`ResetAuthorizersCache`).
    pub fn reset(&self) {
        lock(&self.cache).clear();
    }

    fn cached(&self, key: &str) -> Option<Verdict> {
        let cache = lock(&self.cache);
        let (until, verdict) = cache.get(key)?;
        (*until > self.clock.now()).then(|| verdict.clone())
    }

    fn keep(&self, key: String, until: DateTime<Utc>, verdict: Verdict) {
        let now = self.clock.now();
        let mut cache = lock(&self.cache);
        if cache.len() >= CAPACITY {
            cache.retain(|_, (until, _)| *until > now);
            if cache.len() >= CAPACITY {
                cache.clear();
            }
        }
        cache.insert(key, (until, verdict));
    }
}

type Turns = Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>;

/// A place among those who want the same answer. The last one to leave, be it because its client has gone, takes the
/// entry out of the map.
struct Turn<'a> {
    turns: &'a Turns,
    key: &'a str,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl<'a> Turn<'a> {
    fn of(turns: &'a Turns, key: &'a str) -> Self {
        let own = Arc::clone(lock(turns).entry(key.to_owned()).or_default());
        Self { turns, key, lock: own }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = lock(self.turns);
        // This one and the map.
        if Arc::strong_count(&self.lock) <= 2 {
            turns.remove(self.key);
        }
    }
}

fn too_slow() -> Refusal {
    Refusal::Failed("it took longer than 10 s".to_owned())
}

impl Verdict {
    fn into_result(self) -> Result<Context, Refusal> {
        match self {
            Self::Allow(context) => Ok(context),
            Self::Deny => Err(Refusal::Forbidden),
        }
    }
}

/// The lengths keep `a` + `bc` apart from `ab` + `c`.
fn cache_key(authorizer: &str, identity: &[String]) -> String {
    let mut key = String::with_capacity(authorizer.len() + identity.iter().map(|v| v.len() + 8).sum::<usize>());
    key.push_str(authorizer);
    for value in identity {
        // Writing to a String cannot fail.
        let _ = write!(key, "|{}|{value}", value.len());
    }
    key
}

async fn ask(
    authorizer: &Authorizer,
    event: &ApiGatewayV2httpRequest,
    route_arn: String,
    identity: Option<Vec<String>>,
    invoke: &dyn Invoke,
) -> Result<Verdict, Refusal> {
    let event = Event::Authorizer(Box::new(authorizer_event(event, route_arn, identity)));
    let answer = tokio::time::timeout(LIMIT, invoke.invoke(&authorizer.function, event))
        .await
        .map_err(|_| too_slow())?
        .map_err(|e| Refusal::Failed(e.to_string()))?;
    let (allowed, context) = match answer {
        Answer::Authorizer(answer) => (answer.is_authorized, answer.context),
        Answer::Plain(mut json) => match json.get("isAuthorized") {
            Some(Value::Bool(allowed)) => (*allowed, json.get_mut("context").map(Value::take).unwrap_or_default()),
            _ => return Err(Refusal::Failed("its answer has no isAuthorized".to_owned())),
        },
        _ => return Err(Refusal::Failed("its answer is no authorizer's".to_owned())),
    };
    if !allowed {
        return Ok(Verdict::Deny);
    }
    match context {
        Value::Null => Ok(Verdict::Allow(Arc::default())),
        Value::Object(fields) => Ok(Verdict::Allow(Arc::new(fields.into_iter().collect()))),
        _ => Err(Refusal::Failed("its context is not a mapping".to_owned())),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
