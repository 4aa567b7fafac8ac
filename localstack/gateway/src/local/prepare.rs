//! `prepare`: what nodes find when they start. Does nothing that is done already, and several may run at once.

use std::{future::Future, time::Duration};

use halyard_config::{DatabaseConfig, FromVars as _, Vars};
use tokio::time::Instant;

use super::{
    backing::Backing,
    cli::PrepareArgs,
    cloud, console,
    engine::deploy,
    error::LocalError,
    setup::{Setup, failed},
    told::{self, Asked},
};
use crate::{GatewayConfig, environment_vars};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// Runs it.
///
/// # Errors
/// When a server refuses, or does not come up in time.
pub async fn run(args: &PrepareArgs) -> Result<(), LocalError> {
    let given = Vars::from_process();
    halyard_http::telemetry::init(given.get("LOG_LEVEL").unwrap_or("info"));
    let asked = Asked { template: args.template.clone(), ..Asked::default() };
    let end = Instant::now() + args.patience;
    if args.queues_and_tables {
        let setup = told::setup_only(asked, &given)?;
        let stack = setup.resolve()?;
        if let Backing::Aws(aws) = &setup.backing {
            until(end, "the AWS endpoint", || cloud::make(&stack, aws, s3(&setup), sender(&setup))).await?;
        }
        return Ok(());
    }
    let (setup, config) = told::configure(asked, &given).await?;
    if let Backing::Aws(aws) = &setup.backing {
        until(end, "the AWS endpoint", || cloud::make(&config.stack, aws, s3(&setup), sender(&setup))).await?;
    }
    let database = database(&config)?;
    until(end, "PostgreSQL", || reach(&database)).await?;
    let (queues, tables) = (config.stack.queues.len(), config.stack.tables.len());
    let buckets = config.stack.buckets.len();
    let done = deploy(config).await?;
    let there = format!("queues ({queues}), tables ({tables}) and buckets ({buckets}) are there");
    console::say(&format!("{there}; the database is up to date: {done}"));
    Ok(())
}

/// Where S3 is, if it is elsewhere than the rest of AWS.
fn s3(setup: &Setup) -> Option<&str> {
    setup.vars.get("AWS_ENDPOINT_URL_S3").map(String::as_str)
}

/// Whom mail comes from. The deploy step, which is all that is left of the stack here, sends none.
fn sender(setup: &Setup) -> Option<&str> {
    setup.parameters.get("MailFrom").map(String::as_str).filter(|sender| !sender.is_empty())
}

/// Tries again while the other side is away, until `end`.
async fn until<F>(end: Instant, what: &str, mut attempt: impl FnMut() -> F) -> Result<(), LocalError>
where
    F: Future<Output = Result<(), LocalError>>,
{
    loop {
        match attempt().await {
            Err(LocalError::Away(why)) if Instant::now() < end => {
                tracing::info!(why, "waiting for {what}");
                tokio::time::sleep(PAUSE).await;
            }
            Err(LocalError::Away(why)) => {
                return Err(LocalError::Away(format!("{what} did not come up in time: {why}")));
            }
            outcome => return outcome,
        }
    }
}

/// The database as the deploy step sees it.
fn database(config: &GatewayConfig) -> Result<DatabaseConfig, LocalError> {
    let function = config.stack.functions.values().next();
    let function = function.ok_or_else(|| failed("the template has no deploy step"))?;
    let vars: Vars = environment_vars::variables(config, function).map_err(failed)?.into_iter().collect();
    Ok(DatabaseConfig::load(&vars)?)
}

async fn reach(database: &DatabaseConfig) -> Result<(), LocalError> {
    let pool = halyard_store::connect(database.url.expose(), 1).map_err(failed)?;
    match pool.acquire().await {
        Ok(_) => Ok(()),
        Err(error) if error.is_unavailable() => Err(LocalError::Away(error.to_string())),
        Err(error) => Err(failed(error)),
    }
}
