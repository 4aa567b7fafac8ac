//! The gateway on this machine's servers.

use std::{collections::BTreeMap, net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use halyard_cloud::table::TableTwin;
use halyard_config::Vars;
use halyard_domain::{Clock, Entropy, SystemClock};
use halyard_platform::function::{Answer, Event};
use serde_json::Value;

use super::{
    backing::Backing, cli::ServeArgs, error::LocalError, layout::Layout, places, postgres::Postgres, redis::Redis,
    secrets::Secrets,
};
use crate::{
    Gateway, GatewayConfig, RunningGateway, functions,
    template::{EnvValue, Inputs, Stack, Template},
};

/// The local administrator's password unless `ADMIN_PASSWORD` says otherwise; nowhere else is it accepted.
pub const ADMIN_PASSWORD: &str = "admin123";
/// How long what is under way may take to end.
const GRACE: Duration = Duration::from_secs(10);
/// How long functions that run elsewhere may take to come up: `cargo lambda watch` builds them first.
const FUNCTIONS_PATIENCE: Duration = Duration::from_mins(20);

/// A gateway at work.
#[derive(Debug)]
pub struct Engine {
    gateway: RunningGateway,
    url: String,
    tables: Option<TableTwin>,
}

impl Engine {
    /// Brings the database up to date, starts the gateway on the port that `listener` holds, and repairs what an earlier
    /// run left undone.
    ///
    /// # Errors
    /// When the template, the database or a function does not let it.
    pub async fn start(args: &ServeArgs, layout: &Layout, listener: TcpListener) -> Result<Self, LocalError> {
        let address = listener.local_addr().map_err(LocalError::io("ask for", "the port"))?;
        let (config, tables) = configure(args, layout).await?;
        // Before anybody is let in: nobody shall meet a half-made schema.
        let quiet = GatewayConfig { poll: false, tick: false, ..config.clone() };
        let deploy = Gateway::start(quiet).await.map_err(failed)?;
        let migrated = migrate(&deploy).await;
        deploy.shutdown(GRACE).await;
        migrated?;
        drop(listener);
        let gateway = Gateway::start(GatewayConfig { listen: Some(address), ..config }).await.map_err(failed)?;
        let engine = Self { gateway, url: format!("http://{address}"), tables };
        // Doorbells were in memory: what is overdue is rung for now, and what came in the last seconds of the last run
        // by the beat that follows once old leases have expired.
        engine.beat().await;
        Ok(engine)
    }

    /// Fires the beat now, besides its schedule.
    pub async fn beat(&self) {
        if let Err(error) = self.gateway.fire("BeatFunction").await {
            tracing::error!(%error, "a beat failed; the next one comes within a minute");
        }
    }

    /// Deletes what has expired from the tables' twin: late, as DynamoDB does it.
    pub async fn sweep(&self) {
        let Some(tables) = &self.tables else { return };
        match tables.sweep(SystemClock.now()).await {
            Ok(items) => tracing::info!(items, "expired items deleted"),
            Err(error) => tracing::error!(%error, "expired items could not be deleted"),
        }
    }

    /// How long a task stays with a worker that no longer speaks.
    pub fn lease(&self) -> Duration {
        let worker = self.gateway.stack().functions.get("WorkerFunction");
        let seconds = match worker.and_then(|worker| worker.environment.get("LEASE_SECONDS")) {
            Some(EnvValue::Known(seconds)) => seconds.parse().ok(),
            _ => None,
        };
        Duration::from_secs(seconds.unwrap_or(15))
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Lets what is under way end, then stops.
    pub async fn stop(self) {
        self.gateway.shutdown(GRACE).await;
    }
}

async fn configure(args: &ServeArgs, layout: &Layout) -> Result<(GatewayConfig, Option<TableTwin>), LocalError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy = Arc::new(Entropy::from_os().map_err(LocalError::io("read", "/dev/urandom"))?);
    let secrets = Secrets::load_or_make(&layout.secrets(), &entropy)?;
    let vars = Vars::from_process();
    let backing = Backing::of(args);
    let stack = resolve(args, layout, &secrets, &vars, &backing)?;
    let mut config = GatewayConfig::new(stack, functions::halyard(), clock, entropy);
    if let Some(node) = vars.get("NODE_ID") {
        config.vars.insert("NODE_ID".to_owned(), node.to_owned());
    }
    if unlimited(args, &vars) {
        config.vars.insert("RATE_LIMITS".to_owned(), "off".to_owned());
    }
    let tables = backing.prepare(&mut config, layout, args.mode_or(vars.get("HALYARD_MODE"))?).await?;
    Ok((config, tables))
}

fn resolve(
    args: &ServeArgs,
    layout: &Layout,
    secrets: &Secrets,
    vars: &Vars,
    backing: &Backing,
) -> Result<Stack, LocalError> {
    let mut parameters = BTreeMap::from([
        ("Environment", "local".to_owned()),
        ("DatabaseUrl", Postgres::url(layout)),
        ("RedisUrl", Redis::url(layout)),
        ("TokenKeySet", secrets.key_set()),
        ("TokenSigningKey", secrets.signing_key()),
        ("AdminPassword", vars.get("ADMIN_PASSWORD").unwrap_or(ADMIN_PASSWORD).to_owned()),
        ("LogLevel", vars.get("LOG_LEVEL").unwrap_or("info").to_owned()),
    ]);
    if unlimited(args, vars) {
        parameters.extend(["ThrottlingRate", "ThrottlingBurst"].map(|name| (name, "1000000".to_owned())));
    }
    let path = args.template.clone().map_or_else(|| places::find("infra/template.yaml"), Ok::<PathBuf, _>)?;
    let parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let inputs = Inputs { parameters, ..backing.inputs() };
    Template::load(path).and_then(|template| template.resolve(&inputs)).map_err(failed)
}

fn unlimited(args: &ServeArgs, vars: &Vars) -> bool {
    args.no_rate_limits || vars.get("RATE_LIMITS") == Some("off")
}

/// What the deploy step does on AWS. Functions that run elsewhere may still be on their way up.
async fn migrate(gateway: &RunningGateway) -> Result<(), LocalError> {
    let started = tokio::time::Instant::now();
    loop {
        let answer = gateway.invoke("MigrateFunction", Event::Plain(Value::Object(serde_json::Map::new()))).await;
        match answer {
            Ok(Answer::Plain(_)) => return Ok(()),
            Ok(_) => return Err(LocalError::Gateway("migrate gave an answer of another kind".to_owned())),
            Err(crate::InvokeError::Unavailable(why)) if started.elapsed() < FUNCTIONS_PATIENCE => {
                tracing::info!(why, "waiting for the functions");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => {
                return Err(LocalError::Gateway(format!("the database could not be brought up to date: {error}")));
            }
        }
    }
}

fn failed(error: impl std::fmt::Display) -> LocalError {
    LocalError::Gateway(error.to_string())
}
