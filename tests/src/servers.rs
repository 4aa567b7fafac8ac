//! Private PostgreSQL and Redis servers, for tests that stop and kill them.

use std::{
    fs, io,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, geteuid},
};
use sqlx::Connection as _;

use crate::{scratch::Scratch, wait};

/// How long a server may take to come up or go down.
const PATIENCE: Duration = Duration::from_secs(30);

/// A PostgreSQL server that belongs to one test.
#[derive(Debug)]
pub struct PrivatePostgres {
    scratch: Scratch,
    process: Option<Child>,
}

impl PrivatePostgres {
    /// Makes a cluster and starts it.
    pub async fn start() -> Self {
        let scratch = Scratch::new("pg");
        give_away(scratch.path());
        let data = scratch.path().join("data");
        let mut initdb = as_server_user(&program("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--username=halyard", "--encoding=UTF8", "--locale=C", "-D"]);
        let done = initdb.arg(&data).output().expect("initdb runs");
        assert!(done.status.success(), "initdb: {}", String::from_utf8_lossy(&done.stderr));
        let mut this = Self { scratch, process: None };
        this.start_again().await;
        this
    }

    /// Starts it after [`Self::stop`] or [`Self::kill`], and waits until it answers.
    pub async fn start_again(&mut self) {
        assert!(self.process.is_none(), "PostgreSQL runs already");
        let data = self.scratch.path().join("data");
        let log = fs::File::options().create(true).append(true).open(self.scratch.path().join("log")).expect("a log");
        let mut server = as_server_user(&program("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(self.scratch.path());
        for setting in ["listen_addresses=", "max_connections=200", "shared_buffers=32MB", "synchronous_commit=on"] {
            server.args(["-c", setting]);
        }
        self.process = Some(server.stdout(Stdio::null()).stderr(log).spawn().expect("postgres starts"));
        let url = self.url();
        wait::until("PostgreSQL to answer", PATIENCE, || async { sqlx::PgConnection::connect(&url).await.ok() }).await;
    }

    /// Where its maintenance database is.
    pub fn url(&self) -> String {
        format!("postgres://halyard@{}/postgres", self.scratch.path().display().to_string().replace('/', "%2F"))
    }

    /// Stops it as an operator would: connections are cut, everything committed is safe.
    pub fn stop(&mut self) {
        end(&mut self.process, Signal::SIGINT);
    }

    /// Kills it. Its write-ahead log brings back what was committed.
    pub fn kill(&mut self) {
        // SIGQUIT makes the postmaster end its children at once, without a checkpoint: what a crash leaves behind,
        // minus processes that would outlive the test.
        end(&mut self.process, Signal::SIGQUIT);
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// A Redis server that belongs to one test.
#[derive(Debug)]
pub struct PrivateRedis {
    scratch: Scratch,
    process: Option<Child>,
}

impl PrivateRedis {
    /// Starts one, empty.
    pub fn start() -> Self {
        let mut this = Self { scratch: Scratch::new("rd"), process: None };
        this.start_again();
        this
    }

    /// Starts it after [`Self::stop`], empty, and waits until it answers.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "Redis runs already");
        let mut server = Command::new(program("redis-server"));
        server.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]).arg(self.socket());
        server.arg("--dir").arg(self.scratch.path()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(server.spawn().expect("redis-server starts"));
        let socket = self.socket();
        wait::until_blocking("Redis to answer", PATIENCE, || redis_command(&socket, "PING").ok());
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.scratch.path().join("redis.sock")
    }

    /// One command in Redis' inline form; gives the raw reply.
    pub fn command(&self, line: &str) -> io::Result<String> {
        redis_command(&self.socket(), line)
    }

    /// Stops it; it forgets everything.
    pub fn stop(&mut self) {
        end(&mut self.process, Signal::SIGTERM);
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.stop();
        }
    }
}

/// Sends one inline command and reads the reply: a line, or a bulk string whole.
pub fn redis_command(socket: &Path, line: &str) -> io::Result<String> {
    use io::{BufRead as _, Read as _, Write as _};
    let mut stream = std::os::unix::net::UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{line}\r\n").as_bytes())?;
    let mut reader = io::BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let Some(length) = first.strip_prefix('$') else { return Ok(first.trim_end().to_owned()) };
    let length: usize = length.trim().parse().map_err(io::Error::other)?;
    let mut bulk = vec![0; length];
    reader.read_exact(&mut bulk)?;
    String::from_utf8(bulk).map_err(io::Error::other)
}

/// Ends a process with a signal and waits until it is gone.
fn end(process: &mut Option<Child>, signal: Signal) {
    let Some(mut child) = process.take() else { return };
    let pid = Pid::from_raw(child.id().cast_signed());
    let _ = kill(pid, signal);
    wait::until_blocking("a server to end", PATIENCE, || match child.try_wait() {
        Ok(None) => None,
        Ok(Some(_)) | Err(_) => Some(()),
    });
}

/// Finds a server's program: on the path, or where Debian keeps PostgreSQL's.
fn program(name: &str) -> PathBuf {
    let path = crate::environment::variable("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|v| v.path().join("bin")));
    }
    let found = places.into_iter().map(|p| p.join(name)).find(|p| p.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed: `make test` installs it"))
}

/// PostgreSQL refuses to run as root; then it runs as `postgres`, or as `nobody` where there is no such user.
fn server_user() -> Option<User> {
    let find = |name| User::from_name(name).ok().flatten();
    geteuid().is_root().then(|| find("postgres").or_else(|| find("nobody"))).flatten()
}

fn as_server_user(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some(user) = server_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command.current_dir("/").env("LC_ALL", "C");
    command
}

fn give_away(path: &Path) {
    if let Some(user) = server_user() {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("a directory for PostgreSQL");
    }
}
