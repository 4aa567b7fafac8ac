//! `serve`: everything, in the foreground, until a signal.

use std::{net::TcpListener, time::Duration};

use super::{
    cli::{DemoArgs, ServeArgs},
    console, demo,
    engine::Engine,
    error::LocalError,
    layout::Layout,
    lock::{Instance, InstanceLock},
    logs, port,
    signals::Signals,
    stack::Stack,
};

/// How often the servers are looked at.
const MEND_EVERY: Duration = Duration::from_secs(1);

/// How often expired items leave the tables.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// Runs it.
///
/// # Errors
/// When anything does not start; whatever did is stopped again.
pub async fn run(args: &ServeArgs) -> Result<(), LocalError> {
    port::check(args.port)?;
    let layout = Layout::prepare(&args.data_dir)?;
    let _lock = InstanceLock::take(&layout)?;
    let listener = port::bind(args.port)?;
    Instance { pid: std::process::id().cast_signed(), url: None }.write(&layout)?;
    logs::begin(args, &layout)?;
    let outcome = live(args, &layout, listener).await;
    Instance::remove(&layout);
    outcome
}

async fn live(args: &ServeArgs, layout: &Layout, listener: TcpListener) -> Result<(), LocalError> {
    let mut signals = Signals::listen().map_err(LocalError::io("listen for", "signals"))?;
    let mut stack = tokio::select! {
        // Dropped half-way, the servers that have been started are found again by `clean_up`.
        () = signals.wait() => {
            super::services::clean_up(layout).await;
            return Ok(());
        }
        started = Stack::start(layout) => started?,
    };
    let started = tokio::select! {
        () = signals.wait() => Ok(None),
        engine = Engine::start(args, layout, listener) => engine.map(Some),
    };
    let outcome = match started {
        Ok(Some(engine)) => {
            let outcome = tokio::select! {
                () = signals.wait() => Ok(()),
                outcome = attend(args, layout, &engine, &mut stack) => outcome,
            };
            engine.stop().await;
            outcome
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    stack.stop().await;
    outcome
}

/// Says where it is, shows what it does if asked to, then keeps the servers alive. Ends only with an error.
async fn attend(args: &ServeArgs, layout: &Layout, engine: &Engine, stack: &mut Stack) -> Result<(), LocalError> {
    let url = engine.url();
    Instance { pid: std::process::id().cast_signed(), url: Some(url.clone()) }.write(layout)?;
    if !args.detached {
        console::say(&format!(
            "Halyard is up at {url} (data in {}, logs in {})",
            layout.data_dir.display(),
            layout.logs().display()
        ));
    }
    if args.demo {
        demo::run(&DemoArgs::local(&url)).await?;
        console::say("\nHalyard stays up; Ctrl-C stops it.");
    }
    let mut sweep = tokio::time::Instant::now();
    let mut expiry = Some(tokio::time::Instant::now() + engine.lease() + MEND_EVERY);
    loop {
        tokio::time::sleep(MEND_EVERY).await;
        stack.mend().await;
        // Tasks that ran when the last run was killed: nobody renews their leases, which have expired by now.
        if expiry.is_some_and(|at| at <= tokio::time::Instant::now()) {
            expiry = None;
            engine.beat().await;
        }
        if sweep.elapsed() >= SWEEP_EVERY {
            sweep = tokio::time::Instant::now();
            engine.sweep().await;
        }
    }
}
