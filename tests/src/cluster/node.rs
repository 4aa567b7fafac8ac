//! One node.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    process::{answers, free_port},
    wait,
};

/// How long a start or an end may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a node is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Answers requests.
    Api,
    /// Runs tasks.
    Worker,
    /// Follows the schedule.
    Beat,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Beat => "beat",
        }
    }
}

/// A process `halyard node`. It is killed when it is dropped; when the test fails, its log is printed.
#[derive(Debug)]
pub struct Node {
    name: String,
    address: SocketAddr,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    log: PathBuf,
    child: Child,
}

impl Node {
    pub(super) fn spawn(
        directory: &Path,
        role: Role,
        name: &str,
        arguments: &[&str],
        variables: Vec<(String, String)>,
    ) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut all = ["node", "--role", role.as_str(), "--listen", &address.to_string()].map(str::to_owned).to_vec();
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let log = directory.join(format!("{name}.log"));
        let child = run(&all, &variables, &log);
        Self { name: name.to_owned(), address, arguments: all, variables, log, child }
    }

    /// Its `NODE_ID`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has logged so far, over all its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it answers `/health/ping` with 200.
    pub fn until_ready(&mut self) {
        wait::until_blocking(format!("{} to answer", self.name), PATIENCE, || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{} ended with {status}", self.name);
            }
            answers(self.address, "/health/ping").then_some(())
        });
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("a process of ours");
    }

    /// Waits until it has ended.
    pub fn until_ended(&mut self) -> ExitStatus {
        wait::until_blocking(format!("{} to end", self.name), PATIENCE, || self.child.try_wait().ok().flatten())
    }

    /// Kills it on the spot, as the kernel does when memory is short.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.until_ended();
    }

    /// Tells it to stop, and waits until everything under way has come to its end and so has the process.
    pub fn drain(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.until_ended()
    }

    /// Starts it again at the same address after it has ended, and waits until it answers.
    pub fn start_again(&mut self) {
        assert!(!self.is_running(), "{} still runs", self.name);
        self.child = run(&self.arguments, &self.variables, &self.log);
        self.until_ready();
    }
}

fn run(arguments: &[String], variables: &[(String, String)], log: &Path) -> Child {
    let file = fs::File::options().create(true).append(true).open(log).expect("a log");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = super::command(&arguments, variables);
    command.stdin(Stdio::null()).stdout(file.try_clone().expect("a log")).stderr(file);
    command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"))
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- log of {}\n{}", self.name, self.log());
        }
    }
}
