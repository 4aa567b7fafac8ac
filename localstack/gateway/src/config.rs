//! What a gateway is started with.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use halyard_cloud::{objects::ObjectTwin, queue::Queue};
use halyard_domain::{Clock, Entropy};
use halyard_platform::Twins;

use crate::{
    client::TrustedPeers,
    inbox::Inbox,
    invoke::{Invoke, Limits, Naming, Registry},
    template::Stack,
};

/// How functions are invoked.
#[derive(Debug, Clone)]
pub enum InvokeConfig {
    /// Linked in: environments of this process.
    InProcess(Limits),
    /// Over the Lambda Invoke API.
    LambdaApi {
        /// `http://127.0.0.1:9000`.
        endpoint: String,
        /// What functions are called there.
        naming: Naming,
    },
    /// Whatever a test brings.
    Custom(Arc<dyn Invoke>),
}

/// What a gateway is started with.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// The resolved template.
    pub stack: Stack,
    /// Where to listen; `None`: only [`crate::RunningGateway::request`].
    pub listen: Option<SocketAddr>,
    /// How functions are invoked.
    pub invoke: InvokeConfig,
    /// The functions that are linked in.
    pub registry: Registry,
    /// Variables for every function, over those of the template. Secrets of single functions belong in the template's
    /// parameters instead, so that each function sees only its own.
    pub vars: BTreeMap<String, String>,
    /// What stands in for AWS; functions are told by `HALYARD_CLOUD=twin`.
    pub twins: Option<Twins>,
    /// What event source mappings poll; the twins' queues unless said otherwise.
    pub queue: Option<Arc<dyn Queue>>,
    /// What `/_local/mail` shows; without it there is no such page.
    pub inbox: Option<Arc<dyn Inbox>>,
    /// Whose links `/_objects/` answers; without it there is no such path.
    pub objects: Option<ObjectTwin>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<Entropy>,
    /// Whether event source mappings poll by themselves (else [`crate::RunningGateway::poll_once`]).
    pub poll: bool,
    /// Whether schedules fire by themselves (else [`crate::RunningGateway::fire`]).
    pub tick: bool,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_peers: Vec<TrustedPeers>,
}

impl GatewayConfig {
    /// In process in `standard` mode, without a socket, with pollers and schedules running.
    pub fn new(stack: Stack, registry: Registry, clock: Arc<dyn Clock>, entropy: Arc<Entropy>) -> Self {
        Self {
            stack,
            listen: None,
            invoke: InvokeConfig::InProcess(Limits::standard()),
            registry,
            vars: BTreeMap::new(),
            twins: None,
            queue: None,
            inbox: None,
            objects: None,
            clock,
            entropy,
            poll: true,
            tick: true,
            trusted_peers: Vec::new(),
        }
    }
}
