//! From what a profile knows to a gateway that can be started. The one way there: `serve`, `node` and `prepare` differ in
//! what they bring.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use halyard_cloud::table::TableTwin;
use halyard_domain::{Clock, Entropy, SystemClock};

use super::{backing::Backing, cli::Mode, error::LocalError, part::Part, places};
use crate::{
    GatewayConfig, InvokeConfig, Limits, TrustedPeers, functions,
    template::{Inputs, Stack, Template},
};

/// Invocations that one environment takes at a time in `managed` mode: what the benchmark's connections need.
const MANAGED_CONCURRENCY: u32 = 32;

/// Whom mail comes from where nobody said: a domain that no mail can reach (RFC 2606).
pub const MAIL_FROM: &str = "no-reply@halyard.test";

/// What a profile knows.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The template; without it, the repository's.
    pub template: Option<PathBuf>,
    /// Which part of it is played.
    pub part: Part,
    /// Values of the template's parameters.
    pub parameters: BTreeMap<&'static str, String>,
    /// Variables for every function, over the template's.
    pub vars: BTreeMap<&'static str, String>,
    /// `AWS::StackName`: what queues, tables and Redis keys are called after.
    pub stack: Option<String>,
    /// `AWS::Region`.
    pub region: Option<String>,
    /// How functions are run.
    pub mode: Mode,
    /// Whether nobody is limited.
    pub unlimited: bool,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_peers: Vec<TrustedPeers>,
    /// Where queues, tables and functions are.
    pub backing: Backing,
}

impl Setup {
    /// The template's part with everything resolved.
    ///
    /// # Errors
    /// When the template is not there, or makes no sense.
    pub fn resolve(&self) -> Result<Stack, LocalError> {
        let mut parameters: BTreeMap<String, String> =
            self.parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        // What follows are the values themselves.
        parameters.insert("SecretsPrefix".to_owned(), String::new());
        if self.unlimited {
            parameters
                .extend(["ThrottlingRate", "ThrottlingBurst"].map(|name| (name.to_owned(), "1000000".to_owned())));
        }
        let defaults = Inputs::default();
        let inputs = Inputs {
            parameters,
            stack: self.stack.clone().unwrap_or(defaults.stack),
            region: self.region.clone().unwrap_or(defaults.region),
            queue_endpoint: self.backing.aws().map_or(defaults.queue_endpoint, str::to_owned),
            account: defaults.account,
        };
        let mut stack =
            Template::load(self.template()?).and_then(|template| template.resolve(&inputs)).map_err(failed)?;
        self.part.cut(&mut stack);
        Ok(stack)
    }

    /// The template's file.
    ///
    /// # Errors
    /// When it is not named, and this is not the repository.
    pub fn template(&self) -> Result<PathBuf, LocalError> {
        self.template.clone().map_or_else(|| places::find("infra/template.yaml"), Ok)
    }

    /// Everything that a gateway is started with, and the tables' twin, if there is one: somebody has to sweep it.
    ///
    /// # Errors
    /// When the template, a file or an endpoint does not let it.
    pub async fn configure(&self) -> Result<(GatewayConfig, Option<TableTwin>), LocalError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy = Arc::new(Entropy::from_os().map_err(LocalError::io("read", "/dev/urandom"))?);
        let mut config = GatewayConfig::new(self.resolve()?, functions::halyard(), clock, entropy);
        config.vars = self.vars.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        if self.unlimited {
            config.vars.insert("RATE_LIMITS".to_owned(), "off".to_owned());
        }
        config.trusted_peers.clone_from(&self.trusted_peers);
        config.invoke = InvokeConfig::InProcess(self.limits());
        let tables = self.backing.connect(&mut config).await?;
        Ok((config, tables))
    }

    /// How many environments there may be, and what each takes at a time.
    pub fn limits(&self) -> Limits {
        match self.mode {
            Mode::Standard => Limits::standard(),
            Mode::Managed => Limits::managed(MANAGED_CONCURRENCY),
        }
    }
}

pub fn failed(error: impl std::fmt::Display) -> LocalError {
    LocalError::Gateway(error.to_string())
}
