//! One execution environment: an operating system thread with its own runtime and its own state of the function.
//!
//! In `standard` mode the runtime is polled only while an invocation is outstanding: between invocations the thread
//! waits outside it, so whatever a handler left behind stands still, as in a frozen Lambda environment, and goes on
//! (or not) when the next invocation thaws it. In `managed` mode the runtime is always polled and takes several
//! invocations at a time.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use halyard_platform::{
    Function, Host,
    function::{Answer, Event, FunctionError, Invocation},
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{Notify, mpsc::UnboundedReceiver},
};

use super::{
    FailureKind, InvokeError,
    pool::{Job, Pool, Reply},
};
use crate::event::event_to_json;

/// How long a function may take to initialise.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>.
const INIT_LIMIT: Duration = Duration::from_secs(10);
/// How long blocking work may hold up the end of an environment.
const FAREWELL: Duration = Duration::from_secs(2);

/// The life of an environment, from init to the end of its thread.
pub(super) fn run(pool: &Arc<Pool>, id: u64, mut jobs: UnboundedReceiver<Job>) {
    let function = pool.blueprint.function.as_str();
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return give_up(pool, id, jobs, &format!("no runtime: {error}")),
    };
    let host = (pool.blueprint.host)();
    match runtime.block_on(init(pool, &host)) {
        Ok(code) if pool.blueprint.managed => managed(pool, id, &runtime, Arc::new(code), jobs),
        Ok(code) => standard(pool, id, &runtime, code, &mut jobs),
        Err(message) => {
            tracing::error!(function, %message, "a function cannot start");
            give_up(pool, id, jobs, &message);
        }
    }
    runtime.shutdown_timeout(FAREWELL);
}

async fn init(pool: &Pool, host: &Host) -> Result<Function, String> {
    let ready = AssertUnwindSafe((pool.blueprint.init)(host)).catch_unwind();
    match tokio::time::timeout(INIT_LIMIT, ready).await {
        Ok(Ok(Ok(code))) => Ok(code),
        Ok(Ok(Err(error))) => Err(error.to_string()),
        Ok(Err(_)) => Err("it panicked".to_owned()),
        Err(_) => Err(format!("it took longer than {} s", INIT_LIMIT.as_secs())),
    }
}

/// Nothing came of this environment: everybody who was given to it is told.
fn give_up(pool: &Arc<Pool>, id: u64, mut jobs: UnboundedReceiver<Job>, message: &str) {
    pool.discard(id);
    jobs.close();
    while let Ok(job) = jobs.try_recv() {
        job.fail(FailureKind::Init, message);
    }
}

fn standard(pool: &Arc<Pool>, id: u64, runtime: &Runtime, code: Function, jobs: &mut UnboundedReceiver<Job>) {
    let mut next = None;
    while let Some(job) = next.take().or_else(|| jobs.blocking_recv()) {
        if !job.ticket.take(id) {
            // Whoever asked has given up waiting.
            next = pool.release(id);
            continue;
        }
        let (outcome, alive) = runtime.block_on(invoke(pool, &code, job.event, job.invocation));
        // Free before the answer is out, so that who asks again at once finds this environment and no new one.
        if alive {
            next = pool.release(id);
        } else {
            pool.discard(id);
        }
        // Whoever asked may be gone.
        let _ = job.reply.send(outcome);
        if !alive {
            break;
        }
    }
    // Connections say goodbye on the runtime they were opened on.
    runtime.block_on(async move { drop(code) });
}

fn managed(pool: &Arc<Pool>, id: u64, runtime: &Runtime, code: Arc<Function>, mut jobs: UnboundedReceiver<Job>) {
    let broken = Arc::new(Notify::new());
    runtime.block_on(async {
        let mut running = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => {
                        let (pool, code, broken) = (Arc::clone(pool), Arc::clone(&code), Arc::clone(&broken));
                        running.spawn(async move { work(&pool, id, &code, &broken, job).await });
                    }
                    None => break,
                },
                Some(_) = running.join_next() => {}
                // The process is gone, and every invocation in it.
                () = broken.notified() => return,
            }
        }
        while running.join_next().await.is_some() {}
        drop(code);
    });
}

async fn work(pool: &Arc<Pool>, id: u64, code: &Function, broken: &Notify, job: Job) {
    let mut next = Some(job);
    while let Some(job) = next.take() {
        if !job.ticket.take(id) {
            next = pool.release(id);
            continue;
        }
        let (outcome, alive) = invoke(pool, code, job.event, job.invocation).await;
        if alive {
            next = pool.release(id);
        } else {
            pool.discard(id);
        }
        // Whoever asked may be gone.
        let _ = job.reply.send(outcome);
        if !alive {
            broken.notify_one();
        }
    }
}

/// One invocation, and whether the environment is still of use after it.
async fn invoke(pool: &Pool, code: &Function, event: Event, invocation: Invocation) -> (Reply, bool) {
    let limit = pool.blueprint.timeout;
    let handled = AssertUnwindSafe(handle(code, event, invocation)).catch_unwind();
    match tokio::time::timeout(limit, handled).await {
        Ok(Ok(Ok(answer))) => (Ok(answer), true),
        Ok(Ok(Err(error))) => (Err(InvokeError::function(FailureKind::Error, error.to_string())), true),
        Ok(Err(panic)) => {
            let message = panic_message(panic.as_ref());
            tracing::error!(function = pool.blueprint.function, message, "a function panicked");
            (Err(InvokeError::function(FailureKind::Crash, message)), false)
        }
        Err(_) => {
            let message = format!("Task timed out after {:.2} seconds", limit.as_secs_f64());
            tracing::error!(function = pool.blueprint.function, message, "a function timed out");
            (Err(InvokeError::function(FailureKind::Timeout, message)), false)
        }
    }
}

/// A function that takes plain JSON takes any event as JSON.
async fn handle(code: &Function, event: Event, invocation: Invocation) -> Result<Answer, FunctionError> {
    let event = match (code, event) {
        (Function::Plain(_), Event::Plain(value)) => Event::Plain(value),
        (Function::Plain(_), event) => {
            Event::Plain(event_to_json(&event).map_err(|e| FunctionError(format!("the event is not JSON: {e}")))?)
        }
        (_, event) => event,
    };
    code.invoke(event, invocation).await
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}
