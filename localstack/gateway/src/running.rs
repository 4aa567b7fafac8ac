//! A gateway from start to shutdown.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use halyard_cloud::queue::QueueError;
use halyard_platform::function::{Answer, Event};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};

use crate::{
    authorizer::Authorizers,
    bare,
    config::{GatewayConfig, InvokeConfig},
    course::{Course, Helm, Phase},
    environment_vars,
    error::GatewayError,
    esm::{EventSource, Polled, Polling},
    event::Response,
    gateway::HttpApi,
    invoke::{Counts, InProcess, Invoke, InvokeError, LambdaApi, Surroundings},
    routing::Router,
    scheduler::Schedule,
    server,
    template::Stack,
    throttle::Bucket,
};

/// How often environments without work are looked for.
const REAP: Duration = Duration::from_secs(30);

/// Starts gateways.
#[derive(Debug)]
pub struct Gateway;

/// A gateway at work. Call [`RunningGateway::shutdown`]; when it is dropped instead, its tasks are aborted.
#[derive(Debug)]
pub struct RunningGateway {
    address: Option<SocketAddr>,
    stack: Stack,
    api: Option<Arc<HttpApi>>,
    invoke: Arc<dyn Invoke>,
    sources: Vec<Arc<EventSource>>,
    schedules: Vec<Arc<Schedule>>,
    helm: Helm,
    tasks: JoinSet<()>,
}

impl Gateway {
    /// Starts a gateway on the current runtime: the socket, if there is one, the pollers and the scheduler. Environments
    /// start when they are first needed.
    pub async fn start(config: GatewayConfig) -> Result<RunningGateway, GatewayError> {
        let (helm, course) = Helm::new();
        let mut tasks = JoinSet::new();
        let invoke = invoker(&config, &mut tasks, &course)?;
        let listener = match config.listen {
            Some(address) => {
                Some(TcpListener::bind(address).await.map_err(|source| GatewayError::Listen { address, source })?)
            }
            None => None,
        };
        let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let api = http_api(&config, &invoke, address.map_or(80, |a| a.port()));
        if let (Some(listener), Some(api)) = (listener, &api) {
            tasks.spawn(server::serve(listener, Arc::clone(api), course.clone()));
        }
        let sources = sources(&config, &invoke)?;
        if config.poll {
            for source in sources.iter().filter(|source| source.mapping().enabled) {
                tasks.spawn(Arc::clone(source).run(course.clone()));
            }
        }
        let schedules: Vec<_> = config.stack.schedules.iter().map(|spec| schedule(&config, spec, &invoke)).collect();
        if config.tick {
            for schedule in schedules.iter().filter(|schedule| schedule.spec().enabled) {
                tasks.spawn(Arc::clone(schedule).run(course.clone()));
            }
        }
        Ok(RunningGateway { address, stack: config.stack, api, invoke, sources, schedules, helm, tasks })
    }
}

impl RunningGateway {
    /// Where it listens, if it does.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// What it runs.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// A request without a socket, as if from the loopback address.
    pub async fn request<B: Into<Bytes>>(&self, request: http::Request<B>) -> Response {
        self.request_from(IpAddr::V4(Ipv4Addr::LOCALHOST), request).await
    }

    /// The same, from another peer.
    pub async fn request_from<B: Into<Bytes>>(&self, peer: IpAddr, request: http::Request<B>) -> Response {
        let (parts, body) = request.into_parts();
        let body = body.into();
        match &self.api {
            Some(_) if body.len() > server::BODY_LIMIT => bare::body_too_large(),
            Some(api) => api.answer(parts, body, peer).await,
            None => bare::not_found(),
        }
    }

    /// Invokes a function by its logical id or its name (the deploy step, tests).
    pub async fn invoke(&self, function: &str, event: Event) -> Result<Answer, InvokeError> {
        self.invoke.invoke(self.function_id(function), event).await
    }

    /// Fires a schedule now, by its id (`Function.Event`), its name or its function, and waits for the answer.
    pub async fn fire(&self, name: &str) -> Result<Answer, InvokeError> {
        let named = |schedule: &&Arc<Schedule>| {
            let spec = schedule.spec();
            [&spec.id, &spec.name, &spec.function].into_iter().any(|n| n == name)
        };
        match self.schedules.iter().find(named) {
            Some(schedule) => schedule.fire().await,
            None => Err(InvokeError::UnknownFunction(name.to_owned())),
        }
    }

    /// Takes one batch, if there is one, of every mapping of a queue (by its logical id or its name).
    pub async fn poll_once(&self, queue: &str) -> Result<Polled, QueueError> {
        let id = self.stack.queues.values().find(|spec| spec.name == queue).map_or(queue, |spec| &spec.id);
        let mut sum = Polled::default();
        for source in self.sources.iter().filter(|source| source.mapping().queue == id) {
            let polled = source.poll_once().await?;
            sum.received += polled.received;
            sum.deleted += polled.deleted;
        }
        Ok(sum)
    }

    /// What has happened to a function so far.
    pub fn counts(&self, function: &str) -> Counts {
        self.invoke.counts(self.function_id(function))
    }

    /// How many environments a function has now.
    pub fn environments(&self, function: &str) -> usize {
        self.counts(function).environments
    }

    /// Ends environments that have been idle for longer than [`crate::Limits::idle`]; it happens by itself too.
    pub fn reap(&self) {
        self.invoke.reap();
    }

    /// Forgets what authorizers answered.
    pub fn reset_authorizers(&self) {
        if let Some(api) = &self.api {
            api.authorizers.reset();
        }
    }

    /// Stops listening, polling and firing, waits for what is under way (up to `limit`), and ends the environments.
    pub async fn shutdown(self, limit: Duration) {
        self.drain(Duration::ZERO, limit).await;
    }

    /// The same, seen from afar first: for as long as `grace` requests are still taken, and every answer tells its client
    /// to come no more (`Connection: close`). Answers whether everything under way came to its end within `limit`.
    pub async fn drain(mut self, grace: Duration, limit: Duration) -> bool {
        self.helm.steer(Phase::Leaving);
        if self.address.is_some() && !grace.is_zero() {
            tokio::time::sleep(grace).await;
        }
        self.helm.steer(Phase::Gone);
        let end = Instant::now() + limit;
        let tasks = async { while self.tasks.join_next().await.is_some() {} };
        let ended = tokio::time::timeout_at(end, tasks).await.is_ok();
        if !ended {
            self.tasks.abort_all();
        }
        self.invoke.shutdown(end.saturating_duration_since(Instant::now())).await && ended
    }

    /// Starts an environment of every function that has none, and waits until each is ready.
    pub async fn warm_up(&self) -> Result<(), InvokeError> {
        self.invoke.warm_up().await
    }

    fn function_id<'f>(&'f self, name: &'f str) -> &'f str {
        let functions = &self.stack.functions;
        if functions.contains_key(name) {
            return name;
        }
        functions.values().find(|f| f.name == name || f.binary == name).map_or(name, |f| &f.id)
    }
}

fn invoker(config: &GatewayConfig, tasks: &mut JoinSet<()>, course: &Course) -> Result<Arc<dyn Invoke>, GatewayError> {
    let functions = config.stack.functions.values();
    Ok(match &config.invoke {
        InvokeConfig::Custom(invoke) => Arc::clone(invoke),
        InvokeConfig::LambdaApi { endpoint, naming } => Arc::new(LambdaApi::new(endpoint, *naming, functions)),
        InvokeConfig::InProcess(limits) => {
            let surroundings = Surroundings {
                clock: Arc::clone(&config.clock),
                entropy: Arc::clone(&config.entropy),
                twins: config.twins.clone(),
            };
            let with_vars: Vec<_> = functions
                .map(|spec| environment_vars::variables(config, spec).map(|vars| (spec, vars)))
                .collect::<Result<_, _>>()?;
            let invoke = Arc::new(InProcess::new(with_vars, &config.registry, *limits, &surroundings)?);
            let (reaped, mut course) = (Arc::clone(&invoke), course.clone());
            tasks.spawn(async move {
                while tokio::time::timeout(REAP, course.leaving()).await.is_err() {
                    reaped.reap();
                }
            });
            invoke
        }
    })
}

fn http_api(config: &GatewayConfig, invoke: &Arc<dyn Invoke>, port: u16) -> Option<Arc<HttpApi>> {
    let api = config.stack.api.clone()?;
    Some(Arc::new(HttpApi {
        router: Router::new(api.routes.iter().map(|route| &route.key)),
        buckets: api.routes.iter().map(|route| route.throttle.map(Bucket::new)).collect(),
        authorizers: Authorizers::new(Arc::clone(&config.clock)),
        region: config.stack.region.clone(),
        account: config.stack.account.clone(),
        invoke: Arc::clone(invoke),
        inbox: config.inbox.clone(),
        objects: config.objects.clone(),
        clock: Arc::clone(&config.clock),
        entropy: Arc::clone(&config.entropy),
        trusted: config.trusted_peers.clone(),
        api,
        port,
    }))
}

fn sources(config: &GatewayConfig, invoke: &Arc<dyn Invoke>) -> Result<Vec<Arc<EventSource>>, GatewayError> {
    let stack = &config.stack;
    if stack.mappings.is_empty() {
        return Ok(Vec::new());
    }
    let twin = || config.twins.as_ref().map(|twins| Arc::clone(&twins.queue));
    let queue = config.queue.clone().or_else(twin).ok_or(GatewayError::NoQueues)?;
    let polling = if config.queue.is_some() { Polling::FAR } else { Polling::NEAR };
    let source = |mapping: &crate::template::EventSourceMapping| {
        let spec = &stack.queues[&mapping.queue];
        let (queue, invoke) = (Arc::clone(&queue), Arc::clone(invoke));
        Arc::new(EventSource::new(mapping.clone(), spec, stack.region.clone(), queue, invoke, polling))
    };
    Ok(stack.mappings.iter().map(source).collect())
}

fn schedule(config: &GatewayConfig, spec: &crate::template::ScheduleSpec, invoke: &Arc<dyn Invoke>) -> Arc<Schedule> {
    let function = config.stack.functions.get(&spec.function);
    Arc::new(Schedule {
        spec: spec.clone(),
        retries: function.map_or(0, |function| function.retries),
        kept: function.map_or(Duration::ZERO, |function| function.kept),
        region: config.stack.region.clone(),
        account: config.stack.account.clone(),
        invoke: Arc::clone(invoke),
        clock: Arc::clone(&config.clock),
        entropy: Arc::clone(&config.entropy),
    })
}
