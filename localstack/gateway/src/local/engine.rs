//! The gateway on this machine's servers.

use std::{net::TcpListener, time::Duration};

use halyard_cloud::table::TableTwin;
use halyard_domain::{Clock as _, SystemClock};
use halyard_platform::function::{Answer, Event};
use serde_json::Value;

use super::{
    error::LocalError,
    setup::{Setup, failed},
};
use crate::{Gateway, GatewayConfig, RunningGateway, template::EnvValue};

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
    pub async fn start(setup: &Setup, listener: TcpListener) -> Result<Self, LocalError> {
        let (config, tables) = setup.configure().await?;
        // Before anybody is let in: nobody shall meet a half-made schema.
        deploy(config.clone()).await?;
        let engine = Self::open(config, tables, listener).await?;
        // Doorbells were in memory: what is overdue is rung for now, and what came in the last seconds of the last run
        // by the beat that follows once old leases have expired.
        engine.beat().await;
        Ok(engine)
    }

    /// Starts the gateway again after an edit of the template. It waits for no function: those that the edit was made
    /// for may be in the compiler's hands for a while.
    ///
    /// # Errors
    /// When the template does not let it.
    pub async fn start_again(setup: &Setup, listener: TcpListener) -> Result<Self, LocalError> {
        let (config, tables) = setup.configure().await?;
        Self::open(config, tables, listener).await
    }

    async fn open(config: GatewayConfig, tables: Option<TableTwin>, listener: TcpListener) -> Result<Self, LocalError> {
        let address = listener.local_addr().map_err(LocalError::io("ask for", "the port"))?;
        drop(listener);
        let gateway = Gateway::start(GatewayConfig { listen: Some(address), ..config }).await.map_err(failed)?;
        Ok(Self { gateway, url: format!("http://{address}"), tables })
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

/// What the deploy step does on AWS, on a gateway that nobody else reaches.
///
/// # Errors
/// With what the function said.
pub async fn deploy(config: GatewayConfig) -> Result<Value, LocalError> {
    deploy_step(config, Value::Object(serde_json::Map::new())).await
}

/// The same function with another event: one that an operator would send it.
///
/// # Errors
/// With what the function said.
pub async fn deploy_step(config: GatewayConfig, event: Value) -> Result<Value, LocalError> {
    let quiet = GatewayConfig { listen: None, poll: false, tick: false, ..config };
    let gateway = Gateway::start(quiet).await.map_err(failed)?;
    let migrated = migrate(&gateway, &event).await;
    gateway.shutdown(GRACE).await;
    migrated
}

/// Functions that run elsewhere may still be on their way up.
async fn migrate(gateway: &RunningGateway, event: &Value) -> Result<Value, LocalError> {
    let started = tokio::time::Instant::now();
    loop {
        let answer = gateway.invoke("MigrateFunction", Event::Plain(event.clone())).await;
        match answer {
            Ok(Answer::Plain(done)) => return Ok(done),
            Ok(_) => return Err(LocalError::DeployStep("an answer of another kind".to_owned())),
            Err(crate::InvokeError::Unavailable(why)) if started.elapsed() < FUNCTIONS_PATIENCE => {
                tracing::info!(why, "waiting for the functions");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(crate::InvokeError::Function { message, .. }) => return Err(LocalError::DeployStep(message)),
            Err(error) => return Err(LocalError::DeployStep(error.to_string())),
        }
    }
}
