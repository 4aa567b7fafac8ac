//! A gateway over the fixture template, with functions that a test writes as closures.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::Router;
use halyard_cloud::queue::{DeadLetter, QueueConfig, QueueName, QueueTwin};
use halyard_domain::{Entropy, ManualClock};
use halyard_gateway::{
    Capacity, Gateway, GatewayConfig, InvokeConfig, Limits, Registry, RunningGateway,
    template::{Inputs, Stack, Template},
};
use halyard_platform::{
    Function, Handler, Invocation,
    function::{AuthorizerRequest, AuthorizerResponse, FunctionError},
};
use lambda_http::aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use serde_json::Value;

/// Long enough for whatever must happen, on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);
/// How long something that must not happen is given to happen.
pub const NEVER: Duration = Duration::from_millis(80);

type Answering<A> = Pin<Box<dyn Future<Output = Result<A, FunctionError>> + Send>>;

struct Closure<F>(F);

#[async_trait]
impl<E, A, F> Handler<E, A> for Closure<F>
where
    E: Send + 'static,
    F: Fn(E) -> Answering<A> + Send + Sync,
{
    async fn handle(&self, event: E, _: Invocation) -> Result<A, FunctionError> {
        (self.0)(event).await
    }
}

/// A function over plain JSON.
pub fn plain<O>(handler: impl Fn(Value) -> O + Send + Sync + 'static) -> Function
where
    O: Future<Output = Result<Value, FunctionError>> + Send + 'static,
{
    Function::Plain(Box::new(Closure(move |event: Value| -> Answering<Value> { Box::pin(handler(event)) })))
}

/// An authorizer.
pub fn authorizer<O>(handler: impl Fn(AuthorizerRequest) -> O + Send + Sync + 'static) -> Function
where
    O: Future<Output = Result<AuthorizerResponse, FunctionError>> + Send + 'static,
{
    Function::Authorizer(Box::new(Closure(move |event| -> Answering<AuthorizerResponse> { Box::pin(handler(event)) })))
}

/// A queue's consumer.
pub fn consumer<O>(handler: impl Fn(SqsEvent) -> O + Send + Sync + 'static) -> Function
where
    O: Future<Output = Result<SqsBatchResponse, FunctionError>> + Send + 'static,
{
    Function::Sqs(Box::new(Closure(move |event| -> Answering<SqsBatchResponse> { Box::pin(handler(event)) })))
}

/// What a fixture is made of; what a test does not say stays boring.
pub struct Fixture {
    pub registry: Registry,
    pub clock: Arc<ManualClock>,
    pub queue: QueueTwin,
    pub limits: Limits,
    pub change: Box<dyn FnOnce(&mut GatewayConfig)>,
}

pub fn stack() -> Stack {
    Template::parse(include_str!("../fixtures/play.yaml"))
        .and_then(|template| template.resolve(&Inputs::default()))
        .unwrap_or_else(|e| panic!("{e}"))
}

impl Fixture {
    pub fn new() -> Self {
        let start = chrono::DateTime::from_timestamp(1_795_446_245, 0).expect("a time");
        let clock = Arc::new(ManualClock::new(start));
        let mut configs = vec![QueueConfig::new("slow"), QueueConfig::new("dead")];
        let dead_letter = DeadLetter { queue: QueueName("dead".to_owned()), max_receive_count: 3 };
        configs.push(QueueConfig {
            visibility: Duration::from_mins(1),
            dead_letter: Some(dead_letter),
            ..QueueConfig::new("jobs")
        });
        let queue = QueueTwin::new(clock.clone(), configs).unwrap_or_else(|e| panic!("{e}"));
        let registry = Registry::new()
            .with("web", |_| Box::pin(async { Ok(Function::Http(Router::new())) }))
            .with("guard", |_| Box::pin(async { Ok(authorizer(|_| async { Ok(AuthorizerResponse::default()) })) }))
            .with("work", |_| Box::pin(async { Ok(consumer(|_| async { Ok(SqsBatchResponse::default()) })) }))
            .with("tick", |_| Box::pin(async { Ok(plain(|event| async { Ok(event) })) }));
        let limits = Limits { patience: Duration::ZERO, ..Limits::standard() };
        Self { registry, clock, queue, limits, change: Box::new(|_| {}) }
    }

    pub fn managed(concurrency: u32) -> Self {
        let mut fixture = Self::new();
        fixture.limits = Limits { capacity: Capacity::Managed { concurrency }, max_environments: 1, ..fixture.limits };
        fixture
    }

    /// With this in place of the boring function.
    pub fn with(mut self, binary: &str, make: impl Fn() -> Function + Send + Sync + Clone + 'static) -> Self {
        self.registry = self.registry.with(binary, move |_| {
            let make = make.clone();
            Box::pin(async move { Ok(make()) })
        });
        self
    }

    pub async fn start(self) -> RunningGateway {
        let mut config = GatewayConfig::new(stack(), self.registry, self.clock, Arc::new(Entropy::seeded(1)));
        config.invoke = InvokeConfig::InProcess(self.limits);
        config.queue = Some(Arc::new(self.queue));
        (config.poll, config.tick) = (false, false);
        (self.change)(&mut config);
        Gateway::start(config).await.unwrap_or_else(|e| panic!("{e}"))
    }
}
