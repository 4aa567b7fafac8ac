//! The command line.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::error::LocalError;

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
    /// Make the template's queues and tables on an AWS endpoint (an emulator's).
    CloudInit(CloudInitArgs),
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
    /// The capacity mode: as asked for, else as the environment says, else `standard`.
    ///
    /// # Errors
    /// When the environment says something else.
    pub fn mode_or(&self, environment: Option<&str>) -> Result<Mode, LocalError> {
        match (self.mode, environment) {
            (Some(mode), _) => Ok(mode),
            (None, None | Some("standard")) => Ok(Mode::Standard),
            (None, Some("managed")) => Ok(Mode::Managed),
            (None, Some(other)) => {
                Err(LocalError::Gateway(format!("HALYARD_MODE is {other:?}; it must be standard or managed")))
            }
        }
    }

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

/// Where to make queues and tables.
#[derive(Debug, Clone, Args)]
pub struct CloudInitArgs {
    /// The endpoint.
    #[arg(long, default_value = "http://127.0.0.1:4566")]
    pub endpoint: String,
    /// The SAM template.
    #[arg(long)]
    pub template: Option<PathBuf>,
}
