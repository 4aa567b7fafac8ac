//! The command line.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use halyard_config::{ConfigError, VarError};

use super::part::Role;

/// Halyard on one machine: PostgreSQL, Redis, the API gateway and every function.
#[derive(Debug, Parser)]
#[command(name = "halyard", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run in the foreground until Ctrl-C.
    Serve(ServeArgs),
    /// Run in the background; returns when healthy and prints the base URL.
    Up(ServeArgs),
    /// Stop what `up` or `serve` started.
    Down(DataDir),
    /// Sign in, submit a task over real data, watch it finish.
    Demo(DemoArgs),
    /// PostgreSQL and Redis alone, for tests.
    Services {
        /// Start or stop.
        action: Switch,
        /// Where.
        #[command(flatten)]
        data_dir: DataDir,
    },
    /// Run one node of several against servers that run elsewhere, told by the environment (see `halyard node --help`).
    Node(NodeArgs),
    /// Make the queues, tables and buckets that nodes need, and bring the database up to date. Again does no harm.
    Prepare(PrepareArgs),
    /// Make the keys that sign and verify tokens, or take a step of their rotation.
    Keys(KeysArgs),
    /// Ask a node or a gateway whether it is healthy; exits 0 if so.
    Health(HealthArgs),
}

/// Start or stop.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Switch {
    /// Start.
    Up,
    /// Stop.
    Down,
}

/// Where everything is kept.
#[derive(Debug, Clone, Args)]
pub struct DataDir {
    /// Directory of the database, the tables, keys and logs.
    #[arg(long, default_value = ".local")]
    pub data_dir: PathBuf,
}

/// How many invocations an environment takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// One, and frozen in between, as Lambda's.
    Standard,
    /// Several, not frozen, as Lambda Managed Instances'.
    Managed,
}

impl Mode {
    /// As asked for, else as the environment says, else `otherwise`.
    ///
    /// # Errors
    /// When the environment says something else.
    pub fn choose(asked: Option<Self>, environment: Option<&str>, otherwise: Self) -> Result<Self, ConfigError> {
        match (asked, environment) {
            (Some(mode), _) => Ok(mode),
            (None, None) => Ok(otherwise),
            (None, Some(word)) => Self::from_str(word, false).map_err(|_| {
                ConfigError(vec![VarError { name: "HALYARD_MODE", problem: "must be standard or managed".to_owned() }])
            }),
        }
    }
}

/// Who runs the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InvokeKind {
    /// This process.
    InProcess,
    /// Whoever answers Lambda's Invoke API at `--endpoint`.
    LambdaApi,
}

/// How to serve.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Port on 127.0.0.1, below 32768.
    #[arg(long, default_value_t = 8000)]
    pub port: u16,
    /// Directory of the database, the tables, keys and logs.
    #[arg(long, default_value = ".local")]
    pub data_dir: PathBuf,
    /// Capacity mode of the functions; without it `HALYARD_MODE`, else standard.
    #[arg(long)]
    pub mode: Option<Mode>,
    /// The SAM template to run from.
    #[arg(long)]
    pub template: Option<PathBuf>,
    /// Who runs the functions.
    #[arg(long, default_value = "in-process")]
    pub invoke: InvokeKind,
    /// Lambda's Invoke API, for `--invoke lambda-api`.
    #[arg(long, default_value = "http://127.0.0.1:9000")]
    pub endpoint: String,
    /// SQS and DynamoDB, for `--invoke lambda-api`: an emulator's endpoint.
    #[arg(long, default_value = "http://127.0.0.1:4566")]
    pub aws_endpoint: String,
    /// Requests are not limited (benchmarks).
    #[arg(long)]
    pub no_rate_limits: bool,
    /// Run the demonstration once healthy.
    #[arg(long)]
    pub demo: bool,
    /// Leave the terminal; `up` sets this.
    #[arg(long, hide = true)]
    pub detached: bool,
}

impl ServeArgs {
    /// The arguments that say the same again.
    pub fn to_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["--port".into(), self.port.to_string().into()];
        args.extend(["--data-dir".into(), self.data_dir.clone().into_os_string()]);
        if let Some(mode) = self.mode {
            args.extend(["--mode", if mode == Mode::Managed { "managed" } else { "standard" }].map(OsString::from));
        }
        if let Some(template) = &self.template {
            args.extend(["--template".into(), template.clone().into_os_string()]);
        }
        if self.invoke == InvokeKind::LambdaApi {
            args.extend(["--invoke", "lambda-api", "--endpoint", &self.endpoint].map(OsString::from));
            args.extend(["--aws-endpoint", &self.aws_endpoint].map(OsString::from));
        }
        if self.no_rate_limits {
            args.push("--no-rate-limits".into());
        }
        args
    }
}

/// Whom to show it on.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Base URL of a running Halyard.
    #[arg(long, default_value = "http://127.0.0.1:8000")]
    pub url: String,
    /// The CSV to profile.
    #[arg(long)]
    pub csv: Option<PathBuf>,
    /// As whom to sign in.
    #[arg(long, default_value = "admin")]
    pub username: String,
    /// With which password; without it, the variable `ADMIN_PASSWORD` or the local default.
    #[arg(long)]
    pub password: Option<String>,
}

impl DemoArgs {
    /// On an instance of this machine.
    pub fn local(url: &str) -> Self {
        Self { url: url.to_owned(), csv: None, username: "admin".to_owned(), password: None }
    }
}

/// One node of several.
///
/// It is told by variables, each of which may be given as `NAME_FILE` too, the path of a file with the value:
/// `DATABASE_URL`, `DATABASE_PASSWORD`, `REDIS_URL`, `REDIS_PASSWORD`, `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY`, `TOKEN_SIGNING_KEY`, `TOKEN_KEY_SET`, `ACCOUNT_KEY`, `NODE_ID`, `TRUSTED_PEERS` (networks whose `X-Forwarded-For` is
/// believed, with commas), `RATE_LIMITS`, `LOG_LEVEL`, `STACK_NAME`, `HALYARD_ENV` (`local` alone accepts default secrets).
#[derive(Debug, Clone, Args)]
pub struct NodeArgs {
    /// What it is there for.
    #[arg(long)]
    pub role: Role,
    /// Where it answers: every request as `api`, `/health/ping` in any role.
    #[arg(long, default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// Capacity mode of the functions; without it `HALYARD_MODE`, else managed.
    #[arg(long)]
    pub mode: Option<Mode>,
    /// The SAM template; without it `HALYARD_TEMPLATE`, else `infra/template.yaml`.
    #[arg(long)]
    pub template: Option<PathBuf>,
    /// Seconds between SIGTERM and the moment from which nobody is let in: requests are answered, and connections ended.
    /// More than a balancer keeps a connection open that rests (NGINX here: 1 s).
    #[arg(long, default_value = "2", value_parser = seconds)]
    pub grace: Duration,
    /// Seconds that requests and tasks under way may take to end after that.
    #[arg(long, default_value = "30", value_parser = seconds)]
    pub drain: Duration,
}

/// What nodes need before they start.
#[derive(Debug, Clone, Args)]
pub struct PrepareArgs {
    /// The SAM template; without it `HALYARD_TEMPLATE`, else `infra/template.yaml`.
    #[arg(long)]
    pub template: Option<PathBuf>,
    /// Seconds to wait for PostgreSQL and the AWS endpoint to come up.
    #[arg(long, default_value = "60", value_parser = seconds)]
    pub patience: Duration,
    /// The queues, tables and buckets only, which takes no more than `AWS_ENDPOINT_URL`: for an emulator that has forgotten them.
    #[arg(long)]
    pub queues_and_tables: bool,
}

/// Keys: made in files, published and rotated where tokens are verified.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct KeysArgs {
    /// Gets `token_signing_key`, `token_key_set` and `account_key`, readable by their owner alone, unless they are there.
    #[arg(long)]
    pub directory: Option<PathBuf>,
    /// A step of a rotation.
    #[command(subcommand)]
    pub step: Option<KeysStep>,
}

/// Steps of a rotation, in their order. Between them every program that signs or verifies must have been started with the
/// new key: `docs/ARCHITECTURE.md`, "Keys".
#[derive(Debug, Clone, Subcommand)]
pub enum KeysStep {
    /// Make one more key in the files, as standby.
    Add {
        /// Where `token_signing_key` and `token_key_set` are.
        #[arg(long, conflicts_with = "data_dir", required_unless_present = "data_dir")]
        directory: Option<PathBuf>,
        /// The data directory of an installation that does not run.
        #[arg(long)]
        data_dir: Option<PathBuf>,
    },
    /// Show the published keys.
    List(KeysTarget),
    /// Publish the configured keys that are new, as standby. A deployment does so too.
    Publish(KeysTarget),
    /// Let the standby key sign.
    Promote(KeysTarget),
    /// End a key whose tokens have all expired.
    Retire {
        /// The key's name.
        kid: String,
        /// Which installation.
        #[command(flatten)]
        target: KeysTarget,
    },
    /// End a key at once, and every token that it signed.
    Revoke {
        /// The key's name.
        kid: String,
        /// Which installation.
        #[command(flatten)]
        target: KeysTarget,
    },
}

/// Which installation.
#[derive(Debug, Clone, Args)]
pub struct KeysTarget {
    /// One that `serve` keeps there, and that does not run; without it, the one that nodes are told of by the environment
    /// (see `halyard node --help`).
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
}

/// Whom to ask.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// Base URL, or the whole URL of something that answers 200 when all is well.
    #[arg(long, default_value = "http://127.0.0.1:8000")]
    pub url: String,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "must be a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())
}
