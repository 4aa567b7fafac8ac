//! The program `halyard` as a process of its own, in a data directory of its own.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{environment, wait};

/// How long a start may take: on a bare machine the first one makes a database cluster.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running `halyard serve`.
#[derive(Debug)]
pub struct HalyardProcess {
    data_dir: PathBuf,
    address: SocketAddr,
    child: Child,
}

impl HalyardProcess {
    /// Starts `program serve` in `data_dir` on a free port, and waits until it says that it is healthy.
    pub fn start(program: &Path, data_dir: &Path, arguments: &[&str]) -> Self {
        let mut this = Self::spawn(program, data_dir, arguments);
        this.until_healthy();
        this
    }

    /// Starts it and does not wait.
    pub fn spawn(program: &Path, data_dir: &Path, arguments: &[&str]) -> Self {
        Self::spawn_with(program, data_dir, arguments, &[])
    }

    /// Likewise, with these variables.
    pub fn spawn_with(program: &Path, data_dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let port = free_port();
        let log = fs::File::options().create(true).append(true).open(data_dir.join("halyard.out")).expect("a log");
        let child = Command::new(program)
            .args(["serve", "--port", &port.to_string(), "--data-dir"])
            .arg(data_dir)
            .args(arguments)
            .current_dir(crate::routes::repository("."))
            .env_remove("DATABASE_URL")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {}: {e}", program.display()));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { data_dir: data_dir.to_owned(), address, child }
    }

    /// Waits until `/health/status` answers 200; gives the time since this call.
    pub fn until_healthy(&mut self) -> Duration {
        self.until_healthy_within(PATIENCE)
    }

    /// Likewise, with a limit of its own.
    pub fn until_healthy_within(&mut self, limit: Duration) -> Duration {
        let start = Instant::now();
        let address = self.address;
        wait::until_blocking("halyard to be healthy", limit, || {
            if let Ok(Some(status)) = self.child.try_wait() {
                let log = fs::read_to_string(self.data_dir.join("halyard.out")).unwrap_or_default();
                panic!("halyard ended with {status}: {log}");
            }
            answers(address, "/health/status").then_some(())
        });
        start.elapsed()
    }

    /// `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its PostgreSQL is.
    pub fn database_url(&self) -> String {
        let sockets = self.data_dir.join("run").display().to_string();
        format!("postgres://halyard@{}/halyard", sockets.replace('/', "%2F"))
    }

    /// The socket of its Redis.
    pub fn redis_socket(&self) -> PathBuf {
        self.data_dir.join("run/redis.sock")
    }

    /// Kills it on the spot, as the kernel does when memory is short.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops it as Ctrl-C does, and waits until it is gone.
    pub fn stop(mut self) {
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT);
        wait::until_blocking("halyard to stop", PATIENCE, || self.child.try_wait().ok().flatten());
    }
}

impl Drop for HalyardProcess {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let mut waited = 0;
        while matches!(self.child.try_wait(), Ok(None)) && waited < 2000 {
            std::thread::sleep(Duration::from_millis(10));
            waited += 1;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program that the tests' profile built: `TEST_HALYARD`, else beside the test's own program.
pub fn halyard_program() -> PathBuf {
    if let Some(path) = environment::variable("TEST_HALYARD") {
        return path.into();
    }
    let own = std::env::current_exe().expect("the path of this program");
    let built = own.parent().and_then(Path::parent).map(|profile| profile.join("halyard"));
    let built = built.filter(|p| p.is_file());
    built.expect("the program `halyard` is not built: run these tests with `make test`")
}

/// A port below 32768, where the system gives out none by itself. Nobody listens on it now, and this process is given
/// it only once: whoever asked first may not have bound to it yet.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 12_000).unwrap_or_default();
    (0..12_000)
        .map(|_| 20_000 + (first + GIVEN.fetch_add(1, Ordering::Relaxed)) % 12_000)
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .expect("a free port")
}

/// Does `path` answer 200 there?
pub(crate) fn answers(address: SocketAddr, path: &str) -> bool {
    use std::io::{Read as _, Write as _};
    let attempt = || -> std::io::Result<bool> {
        let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    };
    attempt().unwrap_or(false)
}
