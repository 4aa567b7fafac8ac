//! `node`: one process of several, in a role, against servers that run elsewhere.

use std::{hash::Hasher as _, net::IpAddr, time::Duration};

use aws_lambda_events::sqs::SqsEvent;
use halyard_config::Vars;
use halyard_platform::function::Event;
use http::Request;

use super::{
    cli::NodeArgs,
    error::LocalError,
    part::{Role, database_connections},
    setup::failed,
    signals::Signals,
    told::{self, Asked},
};
use crate::{Gateway, GatewayConfig, InvokeError, RunningGateway};

/// How often the node says that it lives. It counts as gone after a minute.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// Runs it until a signal, then drains it.
///
/// # Errors
/// When it cannot start, or a second signal came before it had ended.
pub async fn run(args: &NodeArgs) -> Result<(), LocalError> {
    let given = Vars::from_process();
    halyard_http::telemetry::init(given.get("LOG_LEVEL").unwrap_or("info"));
    let mut signals = Signals::listen().map_err(LocalError::io("listen for", "signals"))?;
    let node = Some((args.role, args.listen));
    let (setup, config) =
        told::configure(Asked { template: args.template.clone(), mode: args.mode, node }, &given).await?;
    let database_connections = database_connections(&config.stack, setup.limits());
    let id = setup.vars.get("NODE_ID").cloned().unwrap_or_default();
    let gateway =
        Gateway::start(GatewayConfig { listen: Some(args.listen), ..config }).await.map_err(LocalError::from)?;
    let outcome = tokio::select! {
        () = signals.wait() => Ok(()),
        outcome = live(&gateway, args, &id, database_connections) => outcome,
    };
    outcome?;
    tracing::info!(role = args.role.as_str(), id, "draining");
    tokio::select! {
        () = signals.wait() => Err(LocalError::AtOnce),
        whole = gateway.drain(args.grace, args.drain) => {
            tracing::info!(role = args.role.as_str(), id, whole, "gone");
            Ok(())
        }
    }
}

/// Ends only with an error.
async fn live(gateway: &RunningGateway, args: &NodeArgs, id: &str, connections: u32) -> Result<(), LocalError> {
    if let Err(error) = gateway.warm_up().await {
        return Err(match error {
            InvokeError::Function { message, .. } => LocalError::Functions(message),
            other => failed(other),
        });
    }
    let (role, listen) = (args.role.as_str(), args.listen.to_string());
    tracing::info!(role, id, listen, database_connections = connections, "ready");
    let address = own_address(id, args.listen.port());
    say_alive(gateway, args.role, address).await;
    if args.role == Role::Beat {
        // Whatever was left undone while no beat was there does not wait for the next minute.
        if let Err(error) = gateway.fire("BeatFunction").await {
            tracing::error!(%error, "a beat failed; the next one comes within a minute");
        }
    }
    loop {
        tokio::time::sleep(ALIVE_EVERY).await;
        say_alive(gateway, args.role, address).await;
    }
}

/// Gives a function of this node a reason to say that it lives: they say so on the way to an answer, and a node that
/// nobody asks anything is there all the same.
async fn say_alive(gateway: &RunningGateway, role: Role, address: IpAddr) {
    if role == Role::Worker {
        // A batch of nothing.
        if let Err(error) = gateway.invoke("WorkerFunction", Event::Sqs(SqsEvent::default())).await {
            tracing::warn!(%error, "the worker does not answer");
        }
        return;
    }
    if let Ok(request) = Request::get("/health/nodes").body("") {
        let status = gateway.request_from(address, request).await.status();
        if !status.is_success() {
            tracing::warn!(%status, "the node cannot say that it lives");
        }
    }
}

/// As whom the node asks itself: a loopback address of its own, for callers are counted by address, all nodes together.
fn own_address(id: &str, port: u16) -> IpAddr {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(id.as_bytes());
    hasher.write_u16(port);
    let [a, b, c, ..] = hasher.finish().to_be_bytes();
    IpAddr::from([127, a, b, c])
}
