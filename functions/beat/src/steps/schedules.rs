//! Schedules that are due before the next beat looks.

use std::collections::{BTreeMap, HashMap};

use chrono::Duration;
use halyard_domain::{
    Lane, ScheduleId, TaskId,
    schedule::{AHEAD, Due, Outcome, decide},
};
use halyard_jobs::doorbell::{TraceIds, messages};
use halyard_store::{
    schedules::{self, ScheduleRecord, Turn, TurnRun},
    tasks::Submitted,
};

use super::ring;
use crate::{
    Beat,
    report::{Step, StepError},
};

/// Schedules taken at a time.
const BATCH: usize = 200;
/// What became of so many times of a schedule is kept.
const KEPT: i64 = 200;

/// Makes tasks of what is due, each with its exact delay. What is due is read, decided about and written in one statement that
/// holds for those schedules only that are still as they were read: another beat, or this one once more, finds nothing left to do.
pub async fn fire(beat: &Beat, step: &mut Step) -> Result<(), StepError> {
    let mut cursor = None;
    loop {
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let due = schedules::due(&mut *beat.conn().await?, AHEAD, cursor, limit, beat.now()).await?;
        cursor = due.last().and_then(|last| Some((last.next_at?, last.id)));
        let turns: Vec<Turn> = due.iter().filter_map(|schedule| turn(beat, schedule)).collect();
        if !turns.is_empty() {
            commit(beat, step, &turns).await?;
        }
        if due.len() < BATCH {
            return Ok(());
        }
    }
}

/// What becomes of a schedule that is due; `None` when it is too early to say.
fn turn(beat: &Beat, schedule: &ScheduleRecord) -> Option<Turn> {
    let (definition, expected) = (&schedule.definition, schedule.next_at?);
    let due = Due {
        timing: &definition.timing,
        next_at: expected,
        iterations: schedule.iterations,
        max_iterations: definition.max_iterations,
        overlap: definition.overlap,
        catch_up: definition.catch_up,
        open: schedule.open,
    };
    let decided = decide(&due, schedule.now);
    let run = |run: halyard_domain::schedule::Run| TurnRun {
        nominal: run.nominal,
        times: run.times,
        outcome: match run.outcome {
            Outcome::Fire => Ok(schedule.task(TaskId(beat.entropy.ulid(schedule.now)), run.nominal)),
            Outcome::Skip(why) => Err(why),
        },
    };
    (decided.next_at != Some(expected)).then(|| Turn {
        id: schedule.id,
        version: schedule.version,
        expected,
        next_at: decided.next_at,
        iterations: decided.iterations,
        runs: decided.runs.into_iter().map(run).collect(),
    })
}

async fn commit(beat: &Beat, step: &mut Step, turns: &[Turn]) -> Result<(), StepError> {
    let fired = schedules::fire(&mut *beat.conn().await?, turns, beat.now()).await?;
    step.add("fired", fired.len());
    ring_for(beat, step, turns, &fired).await;
    let ids: Vec<ScheduleId> = turns.iter().map(|turn| turn.id).collect();
    let forgotten = schedules::forget_runs(&mut *beat.conn().await?, &ids, KEPT).await?;
    step.add("forgotten", usize::try_from(forgotten).unwrap_or_default());
    Ok(())
}

async fn ring_for(beat: &Beat, step: &mut Step, turns: &[Turn], fired: &[Submitted]) {
    let tasks = turns.iter().flat_map(|turn| &turn.runs).filter_map(|run| run.outcome.as_ref().ok());
    let lanes: HashMap<TaskId, Lane> = tasks.map(|task| (task.id, task.lane)).collect();
    let mut bells = BTreeMap::<Lane, BTreeMap<Duration, usize>>::new();
    for task in fired {
        if let Some(lane) = lanes.get(&task.id) {
            *bells.entry(*lane).or_default().entry(task.delay).or_default() += 1;
        }
    }
    for (lane, delays) in bells {
        let bells = delays
            .into_iter()
            .flat_map(|(delay, count)| messages(lane, delay.to_std().unwrap_or_default(), count, &TraceIds::default()));
        let bells: Vec<_> = bells.collect();
        match ring(beat, lane, &bells).await {
            Ok(()) => step.add("rung", bells.len()),
            // Their outbox rows stand.
            Err(error) => step.note(format!("lane {lane}: {error}")),
        }
    }
}
