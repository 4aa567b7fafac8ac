//! `up` and `down`: the same as `serve`, in the background.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    cli::ServeArgs,
    client, console,
    error::LocalError,
    layout::Layout,
    lock::{Instance, InstanceLock},
    port, process, services,
};

/// Servers first replay their logs after a crash.
const PATIENCE: Duration = Duration::from_secs(90);

/// Starts an instance in the background; returns when it is healthy. One that already runs is as good.
///
/// # Errors
/// With the one sentence that the background process left.
pub async fn up(args: &ServeArgs) -> Result<(), LocalError> {
    port::check(args.port)?;
    let layout = Layout::prepare(&args.data_dir)?;
    if InstanceLock::try_take(&layout.lock())?.is_none() {
        return already_up(&layout, args.port).await;
    }
    // A port in use is said here, not in a log.
    drop(port::bind(args.port)?);
    let log = layout.log("halyard");
    let io = || LocalError::io("write to", &log);
    let mut output = File::options().create(true).append(true).read(true).open(&log).map_err(io())?;
    let begin = output.seek(SeekFrom::End(0)).map_err(io())?;
    let program = std::env::current_exe().map_err(LocalError::io("find", "the program itself"))?;
    let mut command = Command::new(program);
    command.arg("serve").arg("--detached").args(args.to_args()).stdin(Stdio::null());
    command.stdout(output.try_clone().map_err(io())?).stderr(output.try_clone().map_err(io())?);
    let mut child = command.spawn().map_err(LocalError::io("start", "halyard serve"))?;
    let started = tokio::time::Instant::now();
    loop {
        if let Some(url) = Instance::read(&layout).filter(|i| i.pid.cast_unsigned() == child.id()).and_then(|i| i.url) {
            console::say(&format!("Halyard is up at {url} (`make down` stops it; log: {})", log.display()));
            println!("{url}");
            return Ok(());
        }
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            return Err(LocalError::Background(last_error(output, begin)));
        }
        if started.elapsed() > PATIENCE {
            let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
            return Err(LocalError::Background(format!("Halyard did not become healthy; see {}", log.display())));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Stops the instance of a data directory and everything that it started.
///
/// # Errors
/// When it cannot be stopped.
pub async fn down(data_dir: &Path) -> Result<(), LocalError> {
    let Some(layout) = Layout::existing(data_dir)? else {
        console::say(&format!("nothing runs on {}", data_dir.display()));
        return Ok(());
    };
    if let Some(_lock) = InstanceLock::try_take(&layout.lock())? {
        services::clean_up(&layout).await;
        Instance::remove(&layout);
        console::say(&format!("nothing runs on {}", layout.data_dir.display()));
        return Ok(());
    }
    let Some(instance) = Instance::read(&layout) else {
        return Err(LocalError::Background("Halyard is just starting; try again in a moment".to_owned()));
    };
    let pid = Pid::from_raw(instance.pid);
    let _ = kill(pid, Signal::SIGTERM);
    if !process::gone_within(pid, Duration::from_secs(45)).await {
        let _ = kill(pid, Signal::SIGKILL);
        process::gone_within(pid, Duration::from_secs(5)).await;
    }
    let _lock = InstanceLock::take(&layout)?;
    services::clean_up(&layout).await;
    Instance::remove(&layout);
    console::say("Halyard is down");
    Ok(())
}

async fn already_up(layout: &Layout, port: u16) -> Result<(), LocalError> {
    let started = tokio::time::Instant::now();
    loop {
        let url = Instance::read(layout).and_then(|instance| instance.url);
        let address = url.as_deref().and_then(|url| url.strip_prefix("http://")?.parse::<std::net::SocketAddr>().ok());
        match (address, url) {
            (Some(address), Some(url)) if address.port() == port && client::healthy(address).await => {
                console::say(&format!("Halyard is up already at {url}"));
                println!("{url}");
                return Ok(());
            }
            (Some(address), at) if address.port() != port => {
                return Err(LocalError::AlreadyRunning { data_dir: layout.data_dir.clone(), at });
            }
            (_, at) if started.elapsed() > Duration::from_secs(30) => {
                return Err(LocalError::AlreadyRunning { data_dir: layout.data_dir.clone(), at });
            }
            // It is just starting.
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// The sentence that the background process ended with.
fn last_error(mut log: File, begin: u64) -> String {
    let mut text = Vec::new();
    let read = log.seek(SeekFrom::Start(begin)).and_then(|_| log.read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text).into_owned();
    let sentence = text.lines().rev().find_map(|line| line.strip_prefix(console::ERROR_PREFIX));
    match (read, sentence) {
        (Ok(_), Some(sentence)) => sentence.to_owned(),
        _ => text.lines().last().unwrap_or("Halyard ended without a word").to_owned(),
    }
}

/// Forgets the terminal: the instance then lives on when the terminal is closed.
pub fn detach() {
    let _ = nix::unistd::setsid();
}
