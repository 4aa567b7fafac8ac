//! What tasks do here: as their data say, one step at a time, each of which waits on the stage.

use std::{sync::Arc, time::Duration};

use halyard_jobs::{Registry, Task, TaskContext, TaskFailure};
use serde_json::{Map, Value, json};

use super::{
    stage::{Entered, HostId, Kind, Stage},
    work::{Saved, Work},
};

/// The types, in the place of those of the same names.
pub fn types(registry: Registry, stage: &Arc<Stage>, host: HostId, work: &Work) -> Registry {
    let code = Code { stage: Arc::clone(stage), host, work: work.clone() };
    registry.with(Short(code.clone())).with(Long(code))
}

#[derive(Clone)]
struct Code {
    stage: Arc<Stage>,
    host: HostId,
    work: Work,
}

struct Short(Code);
struct Long(Code);

impl Task for Short {
    const TYPE: &'static str = "sample";
    const DESCRIPTION: &'static str = "Does as it is told.";
    type Input = Map<String, Value>;
    type Output = Value;

    async fn run(&self, input: Self::Input, context: TaskContext) -> Result<Value, TaskFailure> {
        self.0.run(input, context).await
    }
}

impl Task for Long {
    const TYPE: &'static str = "machine_learning_training";
    const DESCRIPTION: &'static str = "Does as it is told, in slices.";
    const LONG: bool = true;
    type Input = Map<String, Value>;
    type Output = Value;

    async fn run(&self, input: Self::Input, context: TaskContext) -> Result<Value, TaskFailure> {
        self.0.run(input, context).await
    }
}

impl Code {
    /// `pieces` steps with a checkpoint after each and a `pause` between two, in seconds; then the `end` that is asked for:
    /// `error`, `permanent`, `panic`, `later` or, when the first `bad` attempts are over, none of them.
    async fn run(&self, input: Map<String, Value>, context: TaskContext) -> Result<Value, TaskFailure> {
        let number = |field: &str| input.get(field).and_then(Value::as_u64);
        let pieces = number("pieces").unwrap_or(1);
        let (id, attempt) = (context.task_id(), context.attempt());
        let given: Option<Saved> = context.resume_from();
        let first = given.as_ref().map_or(0, |saved| saved.done);
        self.work.begin((id, attempt), given);
        let mut done = first;
        while done < pieces {
            let pause = if done > first { number("pause").unwrap_or(0) } else { 0 };
            let label = format!("piece {done} of {id}, attempt {attempt}");
            let entered = tokio::select! {
                biased;
                () = context.cancelled() => return Err(TaskFailure::cancelled()),
                entered = self.turn(Duration::from_secs(pause), label) => entered,
            };
            done += 1;
            let saved = Saved { task: id, attempt, done };
            self.work.save(&saved);
            context.checkpoint(&saved).map_err(|error| TaskFailure::permanent("bug", error.to_string()))?;
            context.progress(0.0, [("done".to_owned(), json!(done))].into_iter().collect());
            drop(entered);
        }
        let is_bad = number("bad").is_none_or(|bad| u64::from(attempt.unsigned_abs()) <= bad);
        match input.get("end").and_then(Value::as_str) {
            Some("error") if is_bad => Err(TaskFailure::retryable("told_to", "told to fail")),
            Some("later") if is_bad => {
                Err(TaskFailure::retryable("told_to", "told to wait").after(Duration::from_secs(90)))
            }
            Some("permanent") if is_bad => Err(TaskFailure::permanent("told_to", "told to fail for good")),
            // Without the hook that would print it.
            Some("panic") if is_bad => std::panic::resume_unwind(Box::new("told to panic")),
            _ => Ok(json!({"attempt": attempt, "done": done, "input": input.get("input")})),
        }
    }

    /// Waits until it may take a step.
    async fn turn(&self, pause: Duration, label: String) -> Option<Entered> {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        self.stage.enter(self.host, Kind::Code, label).await
    }
}
