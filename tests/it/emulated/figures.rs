//! The functions as they are deployed: how large their zips are, and how quickly they start. `make test-emulated` prints
//! it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use halyard_tests::{
    Scratch,
    cold::{self, Measured},
    process::free_port,
    routes::{self, repository},
    wait,
};

/// The most that a function's zip may have, what Lambda has to fetch before it can start anything. The aim is 6 MB, which `tasks`
/// misses by a hundredth since it signs links to results.
const ZIP: u64 = 6_200_000;
/// How often each function is started.
const TIMES: usize = 30;

#[tokio::test]
async fn functions_are_small_and_their_cold_starts_are_printed() {
    let (programs, emulator) = (Scratch::new("zips"), Emulator::start());
    let functions: Vec<String> = routes::stack().functions.values().map(|f| f.binary.clone()).collect();
    let mut large = Vec::new();
    for function in &functions {
        let zip = repository("target/lambda").join(format!("{function}.zip"));
        unpack(&zip, programs.path(), function);
        let size = fs::metadata(&zip).expect("a zip").len();
        println!("{function:<22} {size:>9} bytes zipped");
        if size >= ZIP {
            large.push(function);
        }
    }
    println!("{:<22} {:>8} {:>8} {:>24}", "cold start", "p50 ms", "p99 ms", "asks for an event, ms");
    for measured in cold::measure(programs.path(), &emulator.endpoint, TIMES).await.expect("functions that start") {
        println!(
            "{:<22} {:>8.1} {:>8.1} {:>24.1}  {}",
            measured.function,
            Measured::quantile_ms(&measured.answered, 0.5),
            Measured::quantile_ms(&measured.answered, 0.99),
            Measured::quantile_ms(&measured.ready, 0.5),
            if measured.met() { "met: 30 ms" } else { "MISSED: 30 ms" },
        );
    }
    assert!(large.is_empty(), "larger than {ZIP} bytes: {large:?}");
}

fn unpack(zip: &Path, into: &Path, name: &str) {
    let done = Command::new("python3").args(["-m", "zipfile", "-e"]).arg(zip).arg(into).output().expect("python3 runs");
    assert!(done.status.success(), "{}: {}", zip.display(), String::from_utf8_lossy(&done.stderr));
    let program = into.join(name);
    fs::rename(into.join("bootstrap"), &program).expect("a zip holds `bootstrap`");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
}

/// An emulator that nobody else uses: the stack under test has queues of the same names.
struct Emulator {
    endpoint: String,
    process: Child,
    _data: Scratch,
}

impl Emulator {
    fn start() -> Self {
        let (data, port) = (Scratch::new("aws"), free_port());
        let mut program = Command::new(repository(".local/venv/bin/ministack").canonicalize().expect("MiniStack"));
        program.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", data.path());
        program.env("TMPDIR", data.path()).env("LC_ALL", "C.UTF-8").env("BIND_HOST", "127.0.0.1");
        program.env("MINISTACK_HOST", "localhost").env("GATEWAY_PORT", port.to_string()).current_dir(data.path());
        let process = program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let this = Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            process: process.expect("MiniStack starts"),
            _data: data,
        };
        wait::until_blocking("MiniStack to answer", Duration::from_secs(30), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        this
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
