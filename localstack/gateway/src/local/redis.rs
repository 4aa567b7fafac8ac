//! The private Redis server. It keeps nothing on disk: what it holds is losable, and a restart proves it every time.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Child,
    time::Duration,
};

use nix::sys::signal::Signal;

use super::{
    error::LocalError,
    layout::Layout,
    process::{self, Leftover, Life, server_command},
    programs,
};

const WHAT: &str = "Redis";
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
#[derive(Debug)]
pub struct Redis {
    child: Child,
}

impl Redis {
    /// Stops what an earlier run left behind, starts the server and waits until it answers.
    ///
    /// # Errors
    /// With the server's last words.
    pub async fn start(layout: &Layout, life: Life) -> Result<Self, LocalError> {
        let program = programs::redis_server()?;
        Self::clean_up(layout).await;
        let mut command = server_command(&program, &layout.owner, life);
        command.args(["--port", "0", "--unixsocketperm", "700", "--save", "", "--appendonly", "no"]);
        command.args(["--daemonize", "no", "--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"]);
        command.arg("--unixsocket").arg(socket(layout)).arg("--pidfile").arg(pid_file(layout));
        command.arg("--dir").arg(&layout.sockets);
        let log = layout.log("redis");
        let mut this = Self { child: process::spawn(command, WHAT, &log)? };
        let started = tokio::time::Instant::now();
        while !answers(&socket(layout)) {
            if !this.alive() {
                return Err(process::last_words(WHAT, &log));
            }
            if started.elapsed() > PATIENCE {
                this.stop().await;
                return Err(LocalError::Server { what: WHAT, why: "it does not answer".to_owned(), log });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(this)
    }

    /// Is it still there?
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it.
    pub async fn stop(&mut self) {
        process::stop(&mut self.child, Signal::SIGTERM, Duration::from_secs(10)).await;
    }

    /// Stops a server that an earlier run left behind.
    pub async fn clean_up(layout: &Layout) {
        // Redis writes its socket into its process title.
        let mark = socket(layout).display().to_string();
        if let Some(server) = Leftover::find(&pid_file(layout), &mark) {
            server.stop(&[Signal::SIGTERM, Signal::SIGKILL]).await;
        }
        let _ = fs::remove_file(pid_file(layout));
        let _ = fs::remove_file(socket(layout));
    }

    /// Where it is.
    pub fn url(layout: &Layout) -> String {
        format!("redis+unix://{}", socket(layout).display())
    }
}

fn socket(layout: &Layout) -> PathBuf {
    layout.sockets.join("redis.sock")
}

fn pid_file(layout: &Layout) -> PathBuf {
    layout.sockets.join("redis.pid")
}

fn answers(socket: &std::path::Path) -> bool {
    let ask = || {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut reply = [0; 7];
        stream.read_exact(&mut reply)?;
        Ok::<_, std::io::Error>(reply == *b"+PONG\r\n")
    };
    ask().unwrap_or(false)
}
