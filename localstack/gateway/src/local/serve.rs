//! `serve`: everything, in the foreground, until a signal.

use std::{collections::BTreeMap, net::TcpListener, time::Duration};

use halyard_config::{Environment, Vars};
use halyard_domain::Entropy;

use super::{
    backing::Backing,
    cli::{DemoArgs, InvokeKind, Mode, ServeArgs},
    console, demo,
    engine::Engine,
    error::LocalError,
    layout::Layout,
    lock::{Instance, InstanceLock},
    logs,
    part::Part,
    port,
    postgres::Postgres,
    redis::Redis,
    secrets::{ADMIN_PASSWORD, Secrets},
    setup::{MAIL_FROM, Setup},
    signals::Signals,
    stack::Stack,
    template_watch::TemplateWatch,
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
    let outcome = run_gateways(args, layout, listener, &mut signals, &mut stack).await;
    stack.stop().await;
    outcome
}

/// One gateway until the signal; under `cargo lambda watch` another one whenever the template has been edited.
async fn run_gateways(
    args: &ServeArgs,
    layout: &Layout,
    listener: TcpListener,
    signals: &mut Signals,
    stack: &mut Stack,
) -> Result<(), LocalError> {
    let entropy = Entropy::from_os().map_err(LocalError::io("read", "/dev/urandom"))?;
    let secrets = Secrets::load_or_make(&layout.secrets(), &entropy)?;
    let setup = setup(args, layout, &secrets, &Vars::from_process())?;
    let mut demo = args.demo;
    // From before the template is read for the first time: an edit while the gateway starts is one.
    let mut template = watched(&setup)?;
    let mut engine = tokio::select! {
        () = signals.wait() => return Ok(()),
        engine = Engine::start(&setup, listener) => engine?,
    };
    loop {
        announce(args, layout, &engine)?;
        let edited = tokio::select! {
            () = signals.wait() => Ok(false),
            outcome = attend(&engine, stack, std::mem::take(&mut demo)) => outcome.map(|()| false),
            outcome = edited(&setup, template.as_mut()) => outcome.map(|()| true),
        };
        engine.stop().await;
        if !edited? {
            return Ok(());
        }
        console::say("The template has changed: starting the gateway again");
        engine = Engine::start_again(&setup, port::bind(args.port)?).await?;
    }
}

/// Variables that functions get as they are: who the host is, and where functions are that tasks may invoke.
const PASSED_ON: [&str; 2] = ["NODE_ID", "AWS_ENDPOINT_URL_LAMBDA"];

/// What `serve` would start with there.
///
/// # Errors
/// When the installation's secrets cannot be read.
pub(super) fn setup_at_rest(layout: &Layout, vars: &Vars) -> Result<Setup, LocalError> {
    let entropy = Entropy::from_os().map_err(LocalError::io("read", "/dev/urandom"))?;
    let secrets = Secrets::load_or_make(&layout.secrets(), &entropy)?;
    let args = ServeArgs {
        port: 0,
        data_dir: layout.data_dir.clone(),
        mode: None,
        template: None,
        invoke: InvokeKind::InProcess,
        endpoint: String::new(),
        aws_endpoint: String::new(),
        no_rate_limits: false,
        demo: false,
        detached: false,
    };
    setup(&args, layout, &secrets, vars)
}

fn setup(args: &ServeArgs, layout: &Layout, secrets: &Secrets, vars: &Vars) -> Result<Setup, LocalError> {
    let parameters = BTreeMap::from([
        ("Environment", Environment::LOCAL.to_owned()),
        ("DatabaseUrl", Postgres::url(layout)),
        ("RedisUrl", Redis::url(layout)),
        ("TokenKeySet", secrets.key_set()),
        ("TokenSigningKey", secrets.signing_key()),
        ("AccountKey", secrets.account_key().to_owned()),
        ("AdminPassword", vars.get("ADMIN_PASSWORD").unwrap_or(ADMIN_PASSWORD).to_owned()),
        ("MailFrom", vars.get("MAIL_FROM").unwrap_or(MAIL_FROM).to_owned()),
        ("PublicUrl", vars.get("PUBLIC_URL").map_or_else(|| format!("http://127.0.0.1:{}", args.port), str::to_owned)),
        ("OutboundAllowPrivate", vars.get("OUTBOUND_ALLOW_PRIVATE").unwrap_or_default().to_owned()),
        ("TaskFunctions", vars.get("TASK_FUNCTIONS").unwrap_or_default().to_owned()),
        ("LogLevel", vars.get("LOG_LEVEL").unwrap_or("info").to_owned()),
    ]);
    Ok(Setup {
        template: args.template.clone(),
        part: Part::Everything,
        parameters,
        vars: PASSED_ON.iter().filter_map(|&name| Some((name, vars.get(name)?.to_owned()))).collect(),
        stack: None,
        region: None,
        mode: Mode::choose(args.mode, vars.get("HALYARD_MODE"), Mode::Standard)?,
        unlimited: args.no_rate_limits || vars.get("RATE_LIMITS") == Some("off"),
        trusted_peers: Vec::new(),
        backing: Backing::of(args, layout),
    })
}

/// Says where it is.
fn announce(args: &ServeArgs, layout: &Layout, engine: &Engine) -> Result<(), LocalError> {
    let url = engine.url();
    Instance { pid: std::process::id().cast_signed(), url: Some(url.clone()) }.write(layout)?;
    if !args.detached {
        console::say(&format!(
            "Halyard is up at {url} (data in {}, logs in {})",
            layout.data_dir.display(),
            layout.logs().display()
        ));
    }
    Ok(())
}

/// The template, where edits of it count. They do not where functions are linked in: those are of the template that they
/// were built with.
fn watched(setup: &Setup) -> Result<Option<TemplateWatch>, LocalError> {
    let counts = matches!(setup.backing, Backing::Endpoints { .. });
    counts.then(|| setup.template().map(TemplateWatch::new)).transpose()
}

/// Ends when the template has been edited, and makes sense.
async fn edited(setup: &Setup, template: Option<&mut TemplateWatch>) -> Result<(), LocalError> {
    let Some(template) = template else { return std::future::pending().await };
    loop {
        tokio::time::sleep(MEND_EVERY).await;
        if template.changed() {
            match setup.resolve() {
                Ok(_) => return Ok(()),
                Err(error) => console::say(&format!("The gateway goes on with the template as it was: {error}")),
            }
        }
    }
}

/// Shows what it does if asked to, then keeps the servers alive. Ends only with an error.
async fn attend(engine: &Engine, stack: &mut Stack, show: bool) -> Result<(), LocalError> {
    if show {
        demo::run(&DemoArgs::local(&engine.url())).await?;
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
