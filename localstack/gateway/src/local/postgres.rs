//! The private PostgreSQL server: one cluster under the data directory, reached over a unix socket that only its owner
//! and root may open.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    time::Duration,
};

use nix::sys::signal::Signal;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::{
    error::LocalError,
    layout::Layout,
    process::{self, Leftover, Life, server_command},
    programs,
};

const WHAT: &str = "PostgreSQL";
const USER: &str = "halyard";
const DATABASE: &str = "halyard";
/// After a crash PostgreSQL replays its log before it answers.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To keep data: a commit survives a power cut.
    Keep,
    /// Tests: nothing waits for the disk, and many databases are used at a time.
    Test,
}

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    child: Child,
}

impl Postgres {
    /// Stops what an earlier run left behind, makes the cluster at the first start, starts the server and waits until
    /// it answers.
    ///
    /// # Errors
    /// With the server's last words.
    pub async fn start(layout: &Layout, life: Life, purpose: Purpose) -> Result<Self, LocalError> {
        let bin = programs::postgres_bin()?;
        Self::clean_up(layout).await;
        make_cluster(layout, &bin)?;
        let mut command = server_command(&bin.join("postgres"), &layout.owner, life);
        command.arg("-D").arg(cluster(layout)).arg("-k").arg(&layout.sockets);
        let special = if purpose == Purpose::Test { TEST_SETTINGS } else { KEEP_SETTINGS };
        for setting in SETTINGS.iter().chain(special) {
            command.args(["-c", setting]);
        }
        let log = layout.log("postgres");
        let mut this = Self { child: process::spawn(command, WHAT, &log)? };
        let ready = this.make_database(layout).await;
        if ready.is_err() {
            this.stop().await;
        }
        ready.map(|()| this)
    }

    /// Is it still there?
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// A fast shutdown: connections are closed, everything committed is on disk.
    pub async fn stop(&mut self) {
        process::stop(&mut self.child, Signal::SIGINT, Duration::from_secs(20)).await;
    }

    /// Stops a server that an earlier run left behind, and removes the files that would mislead the next one.
    pub async fn clean_up(layout: &Layout) {
        let pid_file = cluster(layout).join("postmaster.pid");
        let mark = cluster(layout).display().to_string();
        match Leftover::find(&pid_file, &mark) {
            Some(server) => server.stop(&[Signal::SIGINT, Signal::SIGQUIT, Signal::SIGKILL]).await,
            // The pid may by now be another program's, which PostgreSQL would take for itself.
            None => drop(fs::remove_file(&pid_file)),
        }
        for name in [".s.PGSQL.5432", ".s.PGSQL.5432.lock"] {
            let _ = fs::remove_file(layout.sockets.join(name));
        }
    }

    /// Where the database is.
    pub fn url(layout: &Layout) -> String {
        url(layout, DATABASE)
    }

    async fn make_database(&mut self, layout: &Layout) -> Result<(), LocalError> {
        let log = layout.log("postgres");
        let started = tokio::time::Instant::now();
        let mut admin = loop {
            match PgConnection::connect(&url(layout, "postgres")).await {
                Ok(connection) => break connection,
                Err(_) if !self.alive() => return Err(process::last_words(WHAT, &log)),
                Err(error) if started.elapsed() > PATIENCE => {
                    return Err(LocalError::Server { what: WHAT, why: error.to_string(), log });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        let failed = |error: sqlx::Error| LocalError::Server { what: WHAT, why: error.to_string(), log: log.clone() };
        let known = sqlx::query_scalar::<_, i32>("select 1 from pg_database where datname = $1").bind(DATABASE);
        if known.fetch_optional(&mut admin).await.map_err(failed)?.is_none() {
            admin.execute("create database halyard").await.map_err(failed)?;
        }
        admin.close().await.map_err(failed)
    }
}

/// One machine, one user: small buffers, no network.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "shared_buffers=128MB",
    // What was claimed is in the way of claims until it is vacuumed. Aurora looks as often.
    "autovacuum_naptime=15s",
    "jit=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "timezone=UTC",
    "log_timezone=UTC",
];
const KEEP_SETTINGS: &[&str] = &["max_connections=100"];
const TEST_SETTINGS: &[&str] = &["max_connections=400", "fsync=off", "synchronous_commit=off", "full_page_writes=off"];

fn cluster(layout: &Layout) -> PathBuf {
    layout.postgres.join("data")
}

fn url(layout: &Layout, database: &str) -> String {
    let host = layout.sockets.display().to_string().replace('%', "%25").replace('/', "%2F");
    format!("postgres://{USER}@{host}/{database}")
}

/// `initdb` under another name first: a first start that was killed half-way leaves nothing that looks like a cluster.
fn make_cluster(layout: &Layout, bin: &std::path::Path) -> Result<(), LocalError> {
    layout.owner.private_dir(&layout.postgres)?;
    let cluster = cluster(layout);
    if cluster.join("PG_VERSION").is_file() {
        return Ok(());
    }
    let new = layout.postgres.join("new");
    let _ = fs::remove_dir_all(&new);
    let mut initdb = server_command(&bin.join("initdb"), &layout.owner, Life::OnItsOwn);
    initdb.args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"]);
    let out = initdb.args(["--username", USER, "-D"]).arg(&new).stdout(Stdio::null()).output();
    let log = layout.log("postgres");
    let why = match out {
        Ok(out) if out.status.success() => {
            return fs::rename(&new, &cluster).map_err(LocalError::io("make the directory", cluster));
        }
        Ok(out) => String::from_utf8_lossy(&out.stderr).lines().last().unwrap_or_default().to_owned(),
        Err(error) => error.to_string(),
    };
    Err(LocalError::Server { what: "initdb", why, log })
}
