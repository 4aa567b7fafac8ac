//! A running `make watch`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use halyard_tests::{Target, process::free_port, wait};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

/// Where nothing is built yet, every function is.
const BUILD: Duration = Duration::from_mins(20);
const FAREWELL: Duration = Duration::from_mins(1);
/// How long a process that was told to end may be seen.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// `make watch` with everything that it started; ends with it.
pub struct Watch {
    child: Child,
    port: u16,
    log: PathBuf,
    emulator: PathBuf,
}

impl Watch {
    /// In a copy of the repository, its crates compiled in `target` (else where the environment says), its data in `data`.
    pub fn start(tree: &Path, target: Option<&Path>, data: &Path) -> Self {
        use std::os::unix::process::CommandExt as _;
        let (port, lambda_port, log) = (free_port(), free_port(), data.join("watch.log"));
        let out = fs::File::create(&log).expect("a log");
        let mut make = Command::new("make");
        make.args(["--no-print-directory", "watch"]).current_dir(tree).env("PORT", port.to_string());
        make.env("LAMBDA_PORT", lambda_port.to_string()).env("DATA_DIR", data.join("data"));
        // Queries are checked against the committed `.sqlx`, whatever the tests use.
        make.env_remove("DATABASE_URL");
        if let Some(target) = target {
            make.env("CARGO_TARGET_DIR", target);
        }
        make.stdin(Stdio::null()).stdout(out.try_clone().expect("a log")).stderr(out).process_group(0);
        Self { child: make.spawn().expect("make starts"), port, log, emulator: data.join("data/aws/pid") }
    }

    /// Waits until every part answers.
    pub fn until_healthy(&mut self) {
        let url = format!("http://127.0.0.1:{}", self.port);
        let program = halyard_tests::halyard_program();
        wait::until_blocking("`make watch` to be healthy", BUILD, || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("make watch ended with {status}: {}", self.log());
            }
            let asked = Command::new(&program).args(["health", "--url", &url]).output().expect("halyard runs");
            asked.status.success().then_some(())
        });
    }

    /// What answers.
    pub fn target(&self) -> Target {
        Target::at(&self.base_url())
    }

    /// Where.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The end of what it has said.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(40).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Runs tests of this program against it.
    pub fn suite_passes(&self, tests: &str) {
        let mut own = Command::new(std::env::current_exe().expect("the path of this program"));
        own.args([tests, "--test-threads", "4"]);
        own.env("HALYARD_PROFILE", "watch").env("HALYARD_BASE_URL", self.base_url());
        let done = own.output().expect("this program runs");
        let (said, complaints) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        println!("{said}");
        assert!(done.status.success(), "{said}\n{complaints}\n{}", self.log());
        assert!(!said.contains("running 0 tests"), "{said}");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.child.id().cast_signed());
        // The script hears of it from here, from make, which passes signals on, and again and again while it puts things away.
        let script = Command::new("pgrep").args(["-P", &group.to_string()]).output().map(|told| told.stdout);
        let script = script.ok().and_then(|told| String::from_utf8_lossy(&told).trim().parse().ok());
        let _ = killpg(group, Signal::SIGTERM);
        let mut again = script.map(Pid::from_raw).into_iter().cycle();
        wait::until_blocking("`make watch` to end", FAREWELL, || {
            if let Some(script) = again.next() {
                let _ = kill(script, Signal::SIGTERM);
            }
            self.child.try_wait().ok().flatten()
        });
        // Whoever the script has left behind is in the group, and would be a fault of the script's; who is ending is not.
        let gone = |group| killpg(group, None).is_err();
        let end = std::time::Instant::now() + LAST_BREATH;
        while !gone(group) && std::time::Instant::now() < end {
            std::thread::yield_now();
        }
        let who = members(group);
        let left = killpg(group, Signal::SIGKILL).is_ok();
        // The emulator leads a group of its own and says in a file who it is.
        let emulator = fs::read_to_string(&self.emulator).ok().and_then(|pid| pid.trim().parse().ok());
        let left = left || emulator.is_some_and(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok());
        assert!(!left || std::thread::panicking(), "`make watch` left processes behind:\n{who}\n{}", self.log());
    }
}

/// Who is in a process group, as `ps` lists them.
fn members(group: Pid) -> String {
    let listed = Command::new("ps").args(["-eo", "pgid=,pid=,stat=,etime=,args="]).output().map(|told| told.stdout);
    let listed = String::from_utf8_lossy(&listed.unwrap_or_default()).into_owned();
    let of_group = |line: &&str| line.split_whitespace().next() == Some(&group.to_string());
    listed.lines().filter(of_group).collect::<Vec<_>>().join("\n")
}
