//! `make bench`: the figures of the embedded profile, measured on the release build over real sockets.
//!
//! The load generator is this process; CPU time is that of all others: `halyard serve` with its PostgreSQL and its Redis,
//! from `/proc`. Limits are off (`--no-rate-limits`): each request makes the same round trip to Redis and is counted as
//! ever, but nobody is refused, because one user may not send thousands of requests a second.

mod cases;
mod client;
mod cold;
mod data;
mod enumeration;
mod nginx;
mod pace;
mod procfs;
mod report;
mod server;
mod sign_in;
mod tasks;
mod tokens;
mod trips;
mod webhooks;

use std::{path::Path, process::ExitCode, time::Duration};

use report::Report;

/// What may be asked for on the command line.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long each case runs.
    pub span: Duration,
    /// How many tasks the large history has.
    pub many: i64,
    /// Which modes.
    pub modes: Vec<&'static str>,
    /// Only cases whose name holds this.
    pub only: String,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\nusage: load [--seconds N] [--many N] [--mode managed|standard] [--only TEXT]");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(|e| e.to_string()).and_then(|runtime| runtime.block_on(run(&options)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), String> {
    let mut report = Report::default();
    if "cold_start".contains(&options.only) {
        cold::measure(&mut report).await?;
    }
    if options.only.starts_with("cold") {
        println!("{}", report.table());
        return Ok(());
    }
    tokens::measure(options, &mut report).await?;
    let in_process = ["verify", "authorizer"].contains(&options.only.as_str());
    for &mode in options.modes.iter().filter(|_| !in_process) {
        server::measure(mode, options, &mut report).await?;
    }
    trips::count(&mut report).await;
    println!("{}", report.table());
    println!(
        "16 keep-alive connections; {} s a case; limits counted but not enforced (--no-rate-limits); CPU of halyard,\n\
         PostgreSQL and Redis together, load generator left out; {} tasks in the large history.",
        options.span.as_secs(),
        options.many
    );
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench.json"));
    report.write(file).map_err(|e| format!("{}: {e}", file.display()))?;
    println!("written to target/bench.json");
    Ok(())
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        span: Duration::from_secs(5),
        many: 5_000_000,
        modes: vec!["managed", "standard"],
        only: String::new(),
    };
    while let Some(argument) = arguments.next() {
        // Cargo says so itself.
        if argument == "--bench" {
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{argument}: what value?"))?;
        let number = || value.parse::<u32>().map_err(|e| format!("{argument} {value}: {e}"));
        match argument.as_str() {
            "--seconds" => options.span = Duration::from_secs(number()?.into()),
            "--many" => options.many = number()?.into(),
            "--only" => options.only.clone_from(&value),
            "--mode" if value == "managed" => options.modes = vec!["managed"],
            "--mode" if value == "standard" => options.modes = vec!["standard"],
            _ => return Err(format!("{argument} {value}: not known")),
        }
    }
    Ok(options)
}
