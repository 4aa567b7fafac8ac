//! A node's setup, as its environment tells it.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use halyard_cloud::aws::AwsSettings;
use halyard_config::{ConfigError, Environment, VarError, Vars};

use super::{
    backing::Backing,
    check,
    cli::Mode,
    error::LocalError,
    part::{Part, Role, tasks_at_once},
    secrets::ADMIN_PASSWORD,
    setup::{MAIL_FROM, Setup},
    variables,
};
use crate::{GatewayConfig, TrustedPeers};

/// Parameters of the template that the environment gives, or that are nothing without it.
const REQUIRED: [(&str, &str); 8] = [
    ("DatabaseUrl", "DATABASE_URL"),
    ("DatabasePassword", "DATABASE_PASSWORD"),
    ("RedisUrl", "REDIS_URL"),
    ("RedisPassword", "REDIS_PASSWORD"),
    ("TokenSigningKey", "TOKEN_SIGNING_KEY"),
    ("TokenKeySet", "TOKEN_KEY_SET"),
    ("AccountKey", "ACCOUNT_KEY"),
    ("AdminPassword", "ADMIN_PASSWORD"),
];
/// Those that have a default.
const OPTIONAL: [(&str, &str); 12] = [
    ("LogLevel", "LOG_LEVEL"),
    ("TokenHs256Secret", "TOKEN_HS256_SECRET"),
    ("TokenIssuer", "TOKEN_ISSUER"),
    ("TokenAudience", "TOKEN_AUDIENCE"),
    ("AdminUsername", "ADMIN_USERNAME"),
    ("AdminEmail", "ADMIN_EMAIL"),
    ("CorsOrigins", "CORS_ORIGINS"),
    ("MailFrom", "MAIL_FROM"),
    ("MailConfigurationSet", "MAIL_CONFIGURATION_SET"),
    ("PublicUrl", "PUBLIC_URL"),
    ("OutboundAllowPrivate", "OUTBOUND_ALLOW_PRIVATE"),
    ("TaskFunctions", "TASK_FUNCTIONS"),
];

/// Variables that functions get as they are.
const PASSED_ON: [&str; 6] = [
    "NODE_ID",
    "HALYARD_VERSION",
    "RATE_LIMITS",
    "AWS_ENDPOINT_URL_LAMBDA",
    "AWS_ENDPOINT_URL_S3",
    "OBJECTS_PUBLIC_URL",
];

/// Where a local node is reached when nobody says.
const PUBLIC_URL: &str = "http://127.0.0.1:8000";

/// What the command line adds.
#[derive(Debug, Default)]
pub struct Asked {
    /// The template.
    pub template: Option<PathBuf>,
    /// The capacity mode.
    pub mode: Option<Mode>,
    /// Whom the node is to be, and where.
    pub node: Option<(Role, SocketAddr)>,
}

/// A setup, and the configuration that follows from it, checked: everything that is wrong with it is said at once.
///
/// # Errors
/// [`LocalError::Configuration`], or what the template says.
pub async fn configure(asked: Asked, given: &Vars) -> Result<(Setup, GatewayConfig), LocalError> {
    let mut errors = Vec::new();
    let vars = variables::read(given, &mut errors);
    let setup = setup(asked, &vars, &mut errors);
    let (mut config, _) = setup.configure().await?;
    if setup.part == Part::Node(Role::Worker) {
        config.vars.insert("NODE_CAPACITY".to_owned(), tasks_at_once(&config.stack).to_string());
    }
    check::functions(&config, &mut errors)?;
    if errors.is_empty() { Ok((setup, config)) } else { Err(ConfigError(errors).into()) }
}

/// The setup alone. Databases and keys may be missing: not everything needs them.
///
/// # Errors
/// [`LocalError::Configuration`].
pub fn setup_only(asked: Asked, given: &Vars) -> Result<Setup, LocalError> {
    let mut errors = Vec::new();
    let vars = variables::read(given, &mut errors);
    let setup = setup(asked, &vars, &mut errors);
    if errors.is_empty() { Ok(setup) } else { Err(ConfigError(errors).into()) }
}

fn setup(asked: Asked, vars: &Vars, errors: &mut Vec<VarError>) -> Setup {
    let environment = vars.get(Environment::VARIABLE).unwrap_or_else(|| {
        // Not guessed: the local environment accepts secrets that everybody knows.
        errors.push(VarError { name: Environment::VARIABLE, problem: "is required".to_owned() });
        Environment::LOCAL
    });
    let value = |name: &str| vars.get(name).unwrap_or_default().to_owned();
    let mut parameters: BTreeMap<&'static str, String> =
        REQUIRED.iter().map(|(parameter, name)| (*parameter, value(name))).collect();
    parameters.extend(OPTIONAL.iter().filter_map(|(parameter, name)| Some((*parameter, vars.get(name)?.to_owned()))));
    parameters.insert("Environment", environment.to_owned());
    if environment == Environment::LOCAL && vars.get("ADMIN_PASSWORD").is_none() {
        parameters.insert("AdminPassword", ADMIN_PASSWORD.to_owned());
    }
    if environment == Environment::LOCAL {
        parameters.entry("MailFrom").or_insert_with(|| MAIL_FROM.to_owned());
        parameters.entry("PublicUrl").or_insert_with(|| PUBLIC_URL.to_owned());
    }
    let aws = AwsSettings::from_lookup(|name| vars.get(name).map(str::to_owned));
    if aws.endpoint.is_none() {
        errors.push(VarError { name: "AWS_ENDPOINT_URL", problem: "is required".to_owned() });
    }
    let mode = Mode::choose(asked.mode, vars.get("HALYARD_MODE"), Mode::Managed).unwrap_or_else(|error| {
        errors.extend(error.0);
        Mode::Managed
    });
    let mut own: BTreeMap<&'static str, String> =
        PASSED_ON.iter().filter_map(|&name| Some((name, vars.get(name)?.to_owned()))).collect();
    if let Some((role, address)) = asked.node {
        own.insert("NODE_ROLE", role.as_str().to_owned());
        own.insert("NODE_PORT", address.port().to_string());
    }
    Setup {
        template: asked.template.or_else(|| vars.get("HALYARD_TEMPLATE").map(PathBuf::from)),
        part: asked.node.map_or(Part::Deploy, |(role, _)| Part::Node(role)),
        parameters,
        vars: own,
        stack: vars.get("STACK_NAME").map(str::to_owned),
        region: Some(aws.region.clone()),
        mode,
        unlimited: vars.get("RATE_LIMITS") == Some("off"),
        trusted_peers: trusted_peers(vars, errors),
        backing: Backing::Aws(aws),
    }
}

fn trusted_peers(vars: &Vars, errors: &mut Vec<VarError>) -> Vec<TrustedPeers> {
    let networks = vars.get("TRUSTED_PEERS").unwrap_or_default().split(',').map(str::trim).filter(|n| !n.is_empty());
    let mut trusted = Vec::new();
    for network in networks {
        match network.parse() {
            Ok(network) => trusted.push(network),
            Err(error) => {
                errors.push(VarError { name: "TRUSTED_PEERS", problem: crate::InvalidNetwork::to_string(&error) });
            }
        }
    }
    trusted
}
