//! Processes of other programs: started so that they end with us, recognised when they were left behind, stopped.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{error::LocalError, owner::Owner, programs};

/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(10);

/// Whether a server ends with the process that started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// The kernel sends it this signal when we are gone, even by SIGKILL (Linux, by way of `setpriv`; elsewhere the
    /// next start cleans up).
    WithUs(&'static str),
    /// It outlives us: `services up`.
    OnItsOwn,
}

/// A command that runs `program` as `owner`, in a process group of its own so that Ctrl-C reaches only us and we stop
/// the servers in order.
pub fn server_command(program: &Path, owner: &Owner, life: Life) -> Command {
    let setpriv = matches!(life, Life::WithUs(_)).then(|| programs::optional("setpriv")).flatten();
    let mut command;
    if let (Life::WithUs(signal), Some(setpriv)) = (life, setpriv) {
        command = Command::new(setpriv);
        command.args(["--pdeathsig", signal]);
        if owner.other {
            command.arg(format!("--reuid={}", owner.uid)).arg(format!("--regid={}", owner.gid)).arg("--clear-groups");
        }
        command.arg("--").arg(program);
    } else {
        command = Command::new(program);
        if owner.other {
            command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
        }
    }
    command.process_group(0).current_dir("/").stdin(Stdio::null());
    // Nothing of our environment concerns the servers, and a stray PG* variable would.
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    command
}

/// Starts a server with its output going to `log`.
///
/// # Errors
/// When the program cannot be run.
pub fn spawn(mut command: Command, what: &'static str, log: &Path) -> Result<Child, LocalError> {
    let file = File::options().create(true).append(true).open(log).map_err(LocalError::io("write to", log))?;
    let copy = file.try_clone().map_err(LocalError::io("write to", log))?;
    command.stdout(copy).stderr(file);
    command.spawn().map_err(|e| LocalError::Server { what, why: e.to_string(), log: log.into() })
}

/// The error for a server that ended at once: the last line of its log that is not empty.
pub fn last_words(what: &'static str, log: &Path) -> LocalError {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let why = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim().to_owned();
    LocalError::Server { what, why, log: log.into() }
}

/// A process that was left behind, recognised by its pid file and by `mark` in its command line: a pid alone may by
/// now be anybody's.
#[derive(Debug)]
pub struct Leftover {
    pid: Pid,
}

impl Leftover {
    /// Looks at the first line of `pid_file`.
    pub fn find(pid_file: &Path, mark: &str) -> Option<Self> {
        let text = fs::read_to_string(pid_file).ok()?;
        let pid: i32 = text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 1)?;
        command_line(pid).is_some_and(|line| line.contains(mark)).then_some(Self { pid: Pid::from_raw(pid) })
    }

    /// Sends the signals one after the other, each with some seconds to take effect.
    pub async fn stop(&self, signals: &[Signal]) {
        for signal in signals {
            let _ = kill(self.pid, *signal);
            if gone_within(self.pid, Duration::from_secs(10)).await {
                return;
            }
        }
    }
}

/// Stops a child of ours: asks, and insists after `patience`.
pub async fn stop(child: &mut Child, signal: Signal, patience: Duration) {
    let pid = Pid::from_raw(child.id().cast_signed());
    let _ = kill(pid, signal);
    let mut waited = Duration::ZERO;
    while matches!(child.try_wait(), Ok(None)) {
        if waited >= patience {
            let _ = child.kill();
        }
        tokio::time::sleep(LOOK).await;
        waited += LOOK;
    }
}

/// Waits for a process, not necessarily a child, to be gone.
pub async fn gone_within(pid: Pid, patience: Duration) -> bool {
    let mut waited = Duration::ZERO;
    while command_line(pid.as_raw()).is_some() {
        if waited >= patience {
            return false;
        }
        tokio::time::sleep(LOOK).await;
        waited += LOOK;
    }
    true
}

/// The command line of a living process; a zombie has none.
fn command_line(pid: i32) -> Option<String> {
    let proc = PathBuf::from(format!("/proc/{pid}/cmdline"));
    let line = if Path::new("/proc/self/cmdline").exists() {
        String::from_utf8_lossy(&fs::read(proc).ok()?).replace('\0', " ")
    } else {
        let out = Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid.to_string()]).output().ok()?;
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    (!line.trim().is_empty()).then_some(line)
}
