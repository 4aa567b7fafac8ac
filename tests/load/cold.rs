//! Cold starts of the functions' release builds.

use std::path::Path;

use halyard_tests::{
    cold::{self, Measured},
    environment::variable,
    halyard_program,
};

use crate::report::{Line, Report};

/// How often each function is started.
const TIMES: usize = 50;

/// Measures every function in the directory of the program `halyard`. Needs an emulator (`TEST_AWS_ENDPOINT`), which
/// `scripts/bench` starts.
pub async fn measure(report: &mut Report) -> Result<(), String> {
    let Some(aws) = variable("TEST_AWS_ENDPOINT") else {
        eprintln!("no TEST_AWS_ENDPOINT: cold starts are left out");
        return Ok(());
    };
    eprintln!("cold starts");
    let program = halyard_program();
    for measured in cold::measure(program.parent().unwrap_or(Path::new(".")), &aws, TIMES).await? {
        report.lines.push(line(&measured));
    }
    Ok(())
}

fn line(measured: &Measured) -> Line {
    let ready = Measured::quantile_ms(&measured.ready, 0.5);
    Line {
        case: format!("cold_start {}", measured.function.trim_start_matches("halyard-").trim_start_matches("fn-")),
        mode: "standard",
        per_second: None,
        p50_ms: Some(Measured::quantile_ms(&measured.answered, 0.5)),
        p99_ms: Some(Measured::quantile_ms(&measured.answered, 0.99)),
        cpu_ms: None,
        target: Some((format!("p50 {} ms", cold::AIM.as_millis()), measured.met())),
        note: format!("{TIMES} starts; {ready:.1} ms until it asks for an event"),
    }
}
