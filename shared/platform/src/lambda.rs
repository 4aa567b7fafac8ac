//! A function's `main`: the process as Lambda (or `cargo lambda watch`) runs it.

use std::{future::Future, pin::Pin, process::ExitCode, sync::Arc};

use chrono::{DateTime, Duration, Utc};
use halyard_config::Vars;
use halyard_domain::{Clock, Entropy, SystemClock};
use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Handler, Invocation,
    function::{Function, FunctionError, respond},
    host::{Host, InitError},
};

/// What `main` hands over: it makes the function out of its surroundings.
pub type Init = Pin<Box<dyn Future<Output = Result<Function, InitError>> + Send>>;

/// Starts logging, reads the environment, initialises the function and serves invocations until Lambda stops the
/// process: one at a time, or as many as `AWS_LAMBDA_MAX_CONCURRENCY` says (Lambda Managed Instances).
pub fn run(init: impl FnOnce(Host) -> Init) -> ExitCode {
    let vars = Vars::from_process();
    halyard_http::telemetry::init(vars.get("LOG_LEVEL").unwrap_or("info"));
    match start(vars, init) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the function cannot run");
            ExitCode::FAILURE
        }
    }
}

fn start(vars: Vars, init: impl FnOnce(Host) -> Init) -> Result<(), lambda_runtime::Error> {
    let concurrent = vars.get("AWS_LAMBDA_MAX_CONCURRENCY").is_some_and(|n| n != "1");
    let mut runtime = if concurrent {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let name = vars.get("AWS_LAMBDA_FUNCTION_NAME").unwrap_or("function").to_owned();
    let host = Host::new(vars, name, Arc::new(SystemClock), Arc::new(Entropy::from_os()?), None);
    runtime.enable_all().build()?.block_on(async {
        match init(host.with_secrets().await?).await? {
            Function::Http(router) => {
                // The router's own body is not Sync, which the runtime asks for; lambda_http's is.
                let service = service_fn(move |request: lambda_http::Request| {
                    let router = router.clone();
                    async move { Ok::<_, std::convert::Infallible>(respond(router, request).await) }
                });
                lambda_http::run_concurrent(service).await
            }
            Function::Authorizer(handler) => serve(handler).await,
            Function::Sqs(handler) => serve(handler).await,
            Function::Plain(handler) => serve(handler).await,
        }
    })
}

async fn serve<E, A>(handler: Box<dyn Handler<E, A>>) -> Result<(), lambda_runtime::Error>
where
    E: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
{
    let handler: Arc<dyn Handler<E, A>> = handler.into();
    let service = service_fn(move |event: LambdaEvent<E>| {
        let handler = Arc::clone(&handler);
        async move {
            let invocation = invocation(&event.context, SystemClock.now());
            handler.handle(event.payload, invocation).await.map_err(Failed)
        }
    });
    lambda_runtime::run_concurrent(service).await
}

/// What Lambda's context says. `cargo lambda watch` gives a constant for a deadline, long past: five minutes then.
fn invocation(context: &Context, now: DateTime<Utc>) -> Invocation {
    let told = i64::try_from(context.deadline).ok().and_then(DateTime::from_timestamp_millis);
    let deadline = told.filter(|at| *at > now).unwrap_or(now + Duration::minutes(5));
    Invocation { aws_request_id: context.request_id.clone(), deadline }
}

/// A failed invocation as Lambda reports it.
#[derive(Debug)]
struct Failed(FunctionError);

impl From<Failed> for lambda_runtime::Diagnostic {
    fn from(Failed(error): Failed) -> Self {
        Self { error_type: "FunctionError".to_owned(), error_message: error.to_string() }
    }
}
