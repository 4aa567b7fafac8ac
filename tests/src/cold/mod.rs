//! Cold starts: from the spawn of a function's program to its first answer, with the program in the page cache. The
//! event is a real one: the gateway made it, in a system whose every invocation is a cold start.

mod lambda;
mod start;

use std::{path::Path, time::Duration};

use serde_json::json;

pub use lambda::ColdLambda;
pub use start::{ColdStart, cold_start};

use crate::{HalyardProcess, Receiver, Scratch, Target, halyard_program, routes, wait};

/// How long a cold start may take.
pub const AIM: Duration = Duration::from_millis(30);

/// What was measured of one function.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The function's program.
    pub function: String,
    /// Spawn to first answer, ascending.
    pub answered: Vec<Duration>,
    /// Spawn to the program's asking for an event, ascending: what it opens and reads before.
    pub ready: Vec<Duration>,
}

impl Measured {
    /// The quantile of ascending durations, in milliseconds.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    pub fn quantile_ms(ascending: &[Duration], q: f64) -> f64 {
        let last = ascending.len().saturating_sub(1);
        ascending.get((last as f64 * q).round() as usize).map_or(0.0, |d| d.as_secs_f64() * 1000.0)
    }

    /// Whether the median is within [`AIM`].
    pub fn met(&self) -> bool {
        Self::quantile_ms(&self.answered, 0.5) <= AIM.as_secs_f64() * 1000.0
    }
}

/// A system whose every invocation is a cold start: the programs as Lambda runs them, the SDK as it is.
#[derive(Debug)]
pub struct ColdSystem {
    halyard: HalyardProcess,
    lambda: ColdLambda,
    scratch: Scratch,
}

impl ColdSystem {
    /// Starts it. `programs` holds the functions' programs, `aws` is an emulator's endpoint; `variables` are those of
    /// `halyard serve`.
    ///
    /// # Errors
    /// When a function does not start; its log is part of the error.
    pub async fn start(programs: &Path, aws: &str, variables: &[(&str, &str)]) -> Result<Self, String> {
        let scratch = Scratch::new("cold");
        let log = scratch.path().join(LOG);
        let lambda = ColdLambda::start(programs, &scratch.path().join("functions"), &log).await?;
        let arguments = ["--invoke", "lambda-api", "--endpoint", lambda.endpoint(), "--aws-endpoint", aws];
        let arguments: Vec<&str> = arguments.into_iter().chain(["--no-rate-limits"]).collect();
        let halyard = HalyardProcess::spawn_with(&halyard_program(), scratch.path(), &arguments, variables);
        // In another thread: it blocks, and the functions that it waits for are served by this one.
        let halyard = tokio::task::spawn_blocking(move || {
            let mut halyard = halyard;
            halyard.until_healthy();
            halyard
        });
        let halyard = halyard.await.map_err(|e| format!("{e}: {}", tail(&log)))?;
        Ok(Self { halyard, lambda, scratch })
    }

    /// Where it is.
    pub fn base_url(&self) -> String {
        self.halyard.base_url()
    }

    /// What the functions logged so far, and `halyard serve` itself.
    pub fn log(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.scratch.path().join(name)).unwrap_or_default();
        read(LOG) + &read("halyard.out")
    }
}

/// Where the functions log.
const LOG: &str = "functions.log";

/// Starts every function of the template `times` times. `programs` holds them, `aws` is an emulator's endpoint.
///
/// # Errors
/// When a function does not start or does not answer; its log is part of the error.
pub async fn measure(programs: &Path, aws: &str, times: usize) -> Result<Vec<Measured>, String> {
    let ColdSystem { halyard, lambda, scratch } = ColdSystem::start(programs, aws, &[]).await?;
    let log = scratch.path().join(LOG);
    rehearse(&halyard.base_url()).await;
    lambda.close();

    let mut out = Vec::new();
    let mut functions: Vec<String> = routes::stack().functions.values().map(|f| f.binary.clone()).collect();
    // In alphabetical order: what `tasks` takes in `worker` finds.
    functions.sort();
    for function in functions {
        let mut measured = Measured { function: function.clone(), answered: Vec::new(), ready: Vec::new() };
        // The first two bring the program into the page cache.
        for round in 0..times + 2 {
            let start = lambda.again(&function).await.map_err(|e| format!("{e}: {}", tail(&log)))?;
            start.answer.map_err(|e| format!("{function} failed: {e}: {}", tail(&log)))?;
            if round >= 2 {
                measured.answered.push(start.answered);
                measured.ready.push(start.ready);
            }
        }
        measured.answered.sort_unstable();
        measured.ready.sort_unstable();
        out.push(measured);
    }
    drop(halyard);
    Ok(out)
}

/// Uses every function once or more: what they are invoked with is what they will be measured with.
async fn rehearse(url: &str) {
    let target = Target::at(url);
    let user = target.admin().await;
    user.get("/auth/profile").await.expect(200);
    user.get("/api/protected").await.expect(200);
    user.get("/api/users").await.expect(200);
    let task = json!({"task_type": "sample", "data": {"message": "cold"}});
    let receiver = Receiver::start();
    let mut telling = task.clone();
    telling["callbacks"] = json!({"completion_url": receiver.url("/")});
    let id = user.submit(telling).await;
    // The worker has had its doorbell; asking for the task must not be the last that `tasks` hears.
    target.finished(&user, &id).await;
    let heard = async || (receiver.count() > 0).then_some(());
    wait::until("a webhook", Duration::from_secs(20), heard).await;
    user.submit(task).await;
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let from = text.len().saturating_sub(2000);
    text.get(from..).unwrap_or(&text).to_owned()
}
