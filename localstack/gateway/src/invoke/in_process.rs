//! Functions linked into this process, each with environments of its own.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;
use halyard_config::Vars;
use halyard_domain::{Clock, Entropy};
use halyard_platform::{
    Host, Twins,
    function::{Answer, Event, Invocation},
};
use tokio::sync::oneshot;

use super::{
    Counts, FailureKind, Invoke, InvokeError, Registry,
    pool::{Blueprint, Job, Placed, Pool, Reply, Ticket},
};
use crate::{
    error::GatewayError,
    event::{LAMBDA_PAYLOAD_LIMIT, event_size, response_size},
    template::FunctionSpec,
};

/// How AWS would run the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capacity {
    /// One invocation at a time per environment, frozen in between.
    Standard,
    /// Lambda Managed Instances: this many at a time (`AWS_LAMBDA_MAX_CONCURRENCY`), never frozen.
    Managed {
        /// Invocations that one environment takes at a time.
        concurrency: u32,
    },
}

/// How many environments there may be, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The capacity mode.
    pub capacity: Capacity,
    /// Environments of a function at most; in `standard` mode its `ReservedConcurrentExecutions` comes before this.
    pub max_environments: u32,
    /// How long an invocation may wait for an environment before it is throttled. AWS does not wait (zero); a short
    /// wait absorbs what AWS would absorb with its larger concurrency.
    pub patience: Duration,
    /// How long an environment stays without work.
    pub idle: Duration,
}

impl Limits {
    /// `standard` mode: at most 16 environments where the template reserves no number, a wait of a second.
    pub fn standard() -> Self {
        let (patience, idle) = (Duration::from_secs(1), Duration::from_mins(5));
        Self { capacity: Capacity::Standard, max_environments: 16, patience, idle }
    }

    /// `managed` mode: one environment per function.
    pub fn managed(concurrency: u32) -> Self {
        Self { capacity: Capacity::Managed { concurrency }, max_environments: 1, ..Self::standard() }
    }
}

/// What the functions of a process share.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<Entropy>,
    pub twins: Option<Twins>,
}

/// The functions that are linked in.
pub struct InProcess {
    pools: HashMap<String, Arc<Pool>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
    limits: Limits,
}

impl InProcess {
    pub(crate) fn new<'s>(
        functions: impl IntoIterator<Item = (&'s FunctionSpec, BTreeMap<String, String>)>,
        registry: &Registry,
        limits: Limits,
        surroundings: &Surroundings,
    ) -> Result<Self, GatewayError> {
        let mut pools = HashMap::new();
        for (spec, mut environment) in functions {
            let init = registry
                .get(&spec.binary)
                .ok_or_else(|| GatewayError::NoCode { function: spec.id.clone(), binary: spec.binary.clone() })?;
            let (concurrency, managed, max_environments) = match limits.capacity {
                Capacity::Standard => (1, false, spec.reserved_concurrency.unwrap_or(limits.max_environments)),
                Capacity::Managed { concurrency } => (concurrency.max(1), true, limits.max_environments.max(1)),
            };
            if managed {
                environment.insert("AWS_LAMBDA_MAX_CONCURRENCY".to_owned(), concurrency.to_string());
            }
            let (name, surroundings) = (spec.name.clone(), surroundings.clone());
            let vars: Vars = environment.into_iter().collect();
            let blueprint = Blueprint {
                function: spec.id.clone(),
                timeout: spec.timeout,
                init,
                host: Box::new(move || {
                    let Surroundings { clock, entropy, twins } = surroundings.clone();
                    Host::new(vars.clone(), name.clone(), clock, entropy, twins)
                }),
                concurrency,
                managed,
                max_environments: max_environments as usize,
            };
            pools.insert(spec.id.clone(), Pool::new(blueprint));
        }
        let Surroundings { clock, entropy, .. } = surroundings.clone();
        Ok(Self { pools, clock, entropy, limits })
    }

    fn job(&self, pool: &Pool, event: Event) -> (Job, Arc<Ticket>, oneshot::Receiver<Reply>) {
        let now = self.clock.now();
        let limit = chrono::Duration::from_std(pool.blueprint.timeout).unwrap_or(chrono::Duration::MAX);
        let invocation = Invocation { aws_request_id: self.entropy.ulid(now).to_string(), deadline: now + limit };
        let (reply, answer) = oneshot::channel();
        let ticket = Arc::new(Ticket::default());
        (Job { event, invocation, reply, ticket: Arc::clone(&ticket) }, ticket, answer)
    }

    /// Waits until an environment is ready: it is given something that its asker has given up already, which it passes
    /// over without an answer. One that cannot start says so.
    async fn warm(&self, pool: &Arc<Pool>) -> Result<(), String> {
        let name = &pool.blueprint.function;
        let (job, ticket, answer) = self.job(pool, Event::Plain(serde_json::Value::Null));
        ticket.take(0);
        pool.place(job, true).map_err(|error| format!("{name}: {error}"))?;
        match answer.await {
            Ok(Err(InvokeError::Function { message, .. })) => Err(format!("{name}: {message}")),
            Ok(Err(error)) => Err(format!("{name}: {error}")),
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }

    async fn dispatch(&self, pool: &Arc<Pool>, event: Event) -> Reply {
        if matches!(&event, Event::Http(request) if event_size(request) > LAMBDA_PAYLOAD_LIMIT) {
            return Err(InvokeError::RequestTooLarge);
        }
        let limit = pool.blueprint.timeout;
        let (job, ticket, mut answer) = self.job(pool, event);
        let may_wait = !self.limits.patience.is_zero();
        if matches!(pool.place(job, may_wait)?, Placed::Waiting) {
            match tokio::time::timeout(self.limits.patience, &mut answer).await {
                Ok(answer) => return answer.unwrap_or_else(|_| Err(gone())),
                // Given up, unless an environment has just taken it.
                Err(_) if ticket.take(0) => return Err(InvokeError::Throttled),
                Err(_) => {}
            }
        }
        // The environment keeps the limit itself; one that cannot, because its handler never yields, is left behind.
        if let Ok(answer) = tokio::time::timeout(limit + Duration::from_secs(12), answer).await {
            return answer.unwrap_or_else(|_| Err(gone()));
        }
        pool.abandon(&ticket);
        Err(InvokeError::function(FailureKind::Timeout, "the function does not yield"))
    }
}

fn gone() -> InvokeError {
    InvokeError::function(FailureKind::Crash, "the environment ended")
}

#[async_trait]
impl Invoke for InProcess {
    async fn invoke(&self, function: &str, event: Event) -> Result<Answer, InvokeError> {
        let pool = self.pools.get(function).ok_or_else(|| InvokeError::UnknownFunction(function.to_owned()))?;
        let mut result = self.dispatch(pool, event).await;
        if matches!(&result, Ok(Answer::Http(response)) if response_size(response) > LAMBDA_PAYLOAD_LIMIT) {
            let message = format!("the answer is larger than {LAMBDA_PAYLOAD_LIMIT} bytes");
            result = Err(InvokeError::function(FailureKind::ResponseTooLarge, message));
        }
        pool.count(&result);
        result
    }

    fn counts(&self, function: &str) -> Counts {
        self.pools.get(function).map(|pool| pool.counts()).unwrap_or_default()
    }

    fn reap(&self) {
        self.pools.values().for_each(|pool| pool.reap(self.limits.idle));
    }

    async fn warm_up(&self) -> Result<(), InvokeError> {
        let ready = join_all(self.pools.values().map(|pool| self.warm(pool))).await;
        let failed: Vec<String> = ready.into_iter().filter_map(Result::err).collect();
        if failed.is_empty() { Ok(()) } else { Err(InvokeError::function(FailureKind::Init, failed.join("\n"))) }
    }

    async fn shutdown(&self, grace: Duration) -> bool {
        let all = join_all(self.pools.values().map(|pool| pool.close()));
        let ended = tokio::time::timeout(grace, all).await.is_ok();
        if !ended {
            tracing::warn!("some invocations did not end in time and are left behind");
        }
        ended
    }
}

/// Environments hold on to their pool, so they must be told.
impl Drop for InProcess {
    fn drop(&mut self) {
        self.pools.values().for_each(|pool| pool.end());
    }
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcess")
            .field("functions", &self.pools.keys())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
