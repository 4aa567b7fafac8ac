//! One measured server: started, asked, stopped.

use std::time::{Duration, Instant};

use halyard_tests::{HalyardProcess, Scratch, halyard_program};
use sqlx::Connection as _;

use crate::{
    Options, cases, data, procfs,
    report::{Line, Report},
};

/// A server under load, and what the cases need to know of it.
pub struct Server {
    /// The process.
    pub process: HalyardProcess,
    /// `Bearer ...` of the administrator.
    pub bearer: String,
    /// Their number.
    pub user: i64,
}

impl Server {
    /// CPU seconds of all processes so far.
    pub fn cpu(&self) -> f64 {
        procfs::cpu_seconds(&[self.process.pid()])
    }

    /// Waits until the processes have almost nothing to do: what a case has set off belongs to its price.
    pub async fn quiet(&self) {
        let mut calm = 0;
        let start = Instant::now();
        while calm < 3 && start.elapsed() < Duration::from_mins(1) {
            let before = self.cpu();
            tokio::time::sleep(Duration::from_millis(200)).await;
            calm = if self.cpu() - before <= 0.03 { calm + 1 } else { 0 };
        }
    }
}

/// Measures every case in one mode.
pub async fn measure(mode: &'static str, options: &Options, report: &mut Report) -> Result<(), String> {
    let (scratch, program) = (Scratch::new("bench"), halyard_program());
    let arguments = ["--mode", mode, "--no-rate-limits"];
    // The first start makes the database; the second is the one that is measured.
    HalyardProcess::start(&program, scratch.path(), &arguments).stop();
    let began = Instant::now();
    let mut process = HalyardProcess::spawn(&program, scratch.path(), &arguments);
    let databases = until_databases_answer(&process, began).await;
    process.until_healthy();
    let healthy = began.elapsed();
    let (bearer, user) = cases::sign_in(&process).await?;
    let server = Server { process, bearer, user };
    server.quiet().await;
    idle(mode, &server, healthy, databases, report);
    cases::run_all(mode, options, &server, report).await?;
    server.process.stop();
    Ok(())
}

/// When both databases took connections.
async fn until_databases_answer(process: &HalyardProcess, began: Instant) -> Duration {
    let url = process.database_url();
    loop {
        let redis = halyard_tests::servers::redis_command(&process.redis_socket(), "PING").is_ok();
        if redis && let Ok(connection) = data::connect(&url).await {
            let _ = connection.close().await;
            return began.elapsed();
        }
        if began.elapsed() > Duration::from_mins(1) {
            return began.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn idle(mode: &'static str, server: &Server, healthy: Duration, databases: Duration, report: &mut Report) {
    let line = |case: &str, target: (String, bool), note: String| Line {
        case: case.to_owned(),
        mode,
        per_second: None,
        p50_ms: None,
        p99_ms: None,
        cpu_ms: None,
        target: Some(target),
        note,
    };
    let megabytes = procfs::resident_megabytes(server.process.pid()).unwrap_or_default();
    let met = megabytes <= 60.0;
    report.lines.push(line("memory_idle", ("60 MB".to_owned(), met), format!("{megabytes:.1} MB resident")));
    let after = healthy.saturating_sub(databases).as_secs_f64();
    let note = format!("{after:.3} s after the databases answered; {:.3} s from nothing", healthy.as_secs_f64());
    report.lines.push(line("start_to_healthy", ("0.5 s, databases up".to_owned(), after <= 0.5), note));
}
