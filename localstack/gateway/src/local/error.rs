//! What can go wrong when Halyard is run on one machine, each as one sentence that says what to do.

use std::{io, path::PathBuf};

/// Why the launcher stopped.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Another program listens.
    #[error(
        "port {port} is in use by another program; choose another one: `make run PORT={other}` or `--port {other}`"
    )]
    PortInUse {
        /// The one that was asked for.
        port: u16,
        /// The one after it.
        other: u16,
    },
    /// A port that the operating system may hand to anybody for an outgoing connection.
    #[error(
        "port {0} cannot be used: choose one from 1 to 32767 (`PORT=8000`), the ones above belong to outgoing connections"
    )]
    PortRange(u16),
    /// Binding failed for another reason than a port in use.
    #[error("cannot listen on port {port}: {source}")]
    Listen {
        /// The port.
        port: u16,
        /// What the operating system said.
        source: io::Error,
    },
    /// The lock of the data directory is held.
    #[error("Halyard already runs on {data_dir}{}; `make down` stops it", at.as_ref().map(|url| format!(" at {url}")).unwrap_or_default())]
    AlreadyRunning {
        /// The data directory.
        data_dir: PathBuf,
        /// Its base URL, when it has written one.
        at: Option<String>,
    },
    /// A program that comes from a package.
    #[error("{what} was not found; install it with: {command}")]
    Missing {
        /// Which, with the version that is needed.
        what: &'static str,
        /// One command.
        command: String,
    },
    /// Found, but too old.
    #[error("{what} is needed, {found} was found; install a newer one with: {command}")]
    TooOld {
        /// Which, with the version that is needed.
        what: &'static str,
        /// What is there.
        found: String,
        /// One command.
        command: String,
    },
    /// A file or directory could not be used.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// The verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A server ended, or did not answer in time.
    #[error("{what} did not start: {why} (its log: {})", log.display())]
    Server {
        /// Which.
        what: &'static str,
        /// Its last words.
        why: String,
        /// Where the rest is.
        log: PathBuf,
    },
    /// A file of ours that makes no sense.
    #[error("{} is damaged ({why}); move it away and start again", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How.
        why: String,
    },
    /// The gateway.
    #[error("the gateway did not start: {0}")]
    Gateway(String),
    /// The deploy step: what it says.
    #[error("the deploy step failed: {0}")]
    DeployStep(String),
    /// A data directory that holds no installation.
    #[error("there is nothing in {}", .0.display())]
    Empty(PathBuf),
    /// Why a node's gateway did not start.
    #[error(transparent)]
    Node(#[from] crate::GatewayError),
    /// What is not there yet, or not any more: worth another try.
    #[error("{0}")]
    Away(String),
    /// Variables that are missing or wrong, all of them.
    #[error(transparent)]
    Configuration(#[from] halyard_config::ConfigError),
    /// A function cannot start with what it was given.
    #[error("the functions cannot start:\n{0}")]
    Functions(String),
    /// Told twice to stop.
    #[error("stopped at once; what was under way was left")]
    AtOnce,
    /// What a health check says.
    #[error("{0}")]
    Unhealthy(String),
    /// The background process.
    #[error("{0}")]
    Background(String),
    /// A step of the demonstration.
    #[error("{0}")]
    Demo(String),
}

impl LocalError {
    /// An [`LocalError::Io`], for `map_err`.
    pub fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
