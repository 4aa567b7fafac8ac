//! Schedules that are due before the next beat looks.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
};

use chrono::{DateTime, Duration, Utc};
use halyard_domain::{
    Lane, ScheduleId, TaskId,
    schedule::{AHEAD, Decided, Due, Outcome, Run, decide},
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
/// Bytes that the runs of one statement get, but for one that gets more alone. They are in memory several times over: as they
/// are read, for each run, and bound.
const BYTES: usize = 8 << 20;
/// What became of so many times of a schedule is kept.
const KEPT: i64 = 200;

/// Makes tasks of what is due, each with its exact delay. What was decided is written in statements that hold for those
/// schedules only that are still as they were read: another beat, or this one once more, finds nothing left to do.
pub async fn fire(beat: &Beat, step: &mut Step) -> Result<(), StepError> {
    let mut cursor = None;
    loop {
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let due = schedules::due(&mut *beat.conn().await?, AHEAD, cursor, limit, beat.now()).await?;
        cursor = due.last().and_then(|last| Some((last.next_at?, last.id)));
        for parts in statements(&due) {
            commit(beat, step, &parts).await?;
        }
        if due.len() < BATCH {
            return Ok(());
        }
    }
}

/// What becomes of a schedule in one statement: of all the times that were decided about, or of the next ones.
struct Part<'a> {
    schedule: &'a ScheduleRecord,
    expected: DateTime<Utc>,
    next_at: Option<DateTime<Utc>>,
    iterations: i32,
    runs: Vec<Run>,
}

/// Decides about what is due, and cuts it into statements. Where a schedule is cut, the later part begins at the time at which
/// the earlier one has stopped, as if another beat had gone on there.
fn statements(due: &[ScheduleRecord]) -> Vec<Vec<Part<'_>>> {
    let (mut all, mut parts, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
    for schedule in due {
        let Some((mut expected, decided)) = decided(schedule) else { continue };
        let (mut iterations, mut runs) = (schedule.iterations, Vec::new());
        for run in decided.runs {
            let fires = run.outcome == Outcome::Fire;
            let size = if fires { schedule.size } else { 0 };
            if bytes > 0 && bytes.saturating_add(size) > BYTES {
                if !runs.is_empty() {
                    let (next_at, runs) = (Some(run.nominal), mem::take(&mut runs));
                    parts.push(Part { schedule, expected, next_at, iterations, runs });
                    expected = run.nominal;
                }
                all.push(mem::take(&mut parts));
                bytes = 0;
            }
            bytes = bytes.saturating_add(size);
            iterations = iterations.saturating_add(fires.into());
            runs.push(run);
        }
        parts.push(Part { schedule, expected, next_at: decided.next_at, iterations: decided.iterations, runs });
    }
    if !parts.is_empty() {
        all.push(parts);
    }
    all
}

/// What becomes of a schedule that is due, and its time until now; `None` when it is too early to say.
fn decided(schedule: &ScheduleRecord) -> Option<(DateTime<Utc>, Decided)> {
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
    (decided.next_at != Some(expected)).then_some((expected, decided))
}

/// What is written of a part; `None` when its schedule is another one by now, or gone.
fn turn(beat: &Beat, part: &Part<'_>, whole: &HashMap<ScheduleId, ScheduleRecord>) -> Option<Turn> {
    let schedule = part.schedule;
    let run = |run: &Run| {
        let outcome = match run.outcome {
            Outcome::Fire => {
                let whole = whole.get(&schedule.id).filter(|whole| whole.version == schedule.version)?;
                Ok(whole.task(TaskId(beat.entropy.ulid(schedule.now)), run.nominal))
            }
            Outcome::Skip(why) => Err(why),
        };
        Some(TurnRun { nominal: run.nominal, times: run.times, outcome })
    };
    Some(Turn {
        id: schedule.id,
        version: schedule.version,
        expected: part.expected,
        next_at: part.next_at,
        iterations: part.iterations,
        runs: part.runs.iter().map(run).collect::<Option<_>>()?,
    })
}

async fn commit(beat: &Beat, step: &mut Step, parts: &[Part<'_>]) -> Result<(), StepError> {
    let turns = turns(beat, parts).await?;
    if turns.is_empty() {
        return Ok(());
    }
    let fired = schedules::fire(&mut *beat.conn().await?, &turns, beat.now()).await?;
    step.add("fired", fired.len());
    ring_for(beat, step, &turns, &fired).await;
    let ids: Vec<ScheduleId> = turns.iter().map(|turn| turn.id).collect();
    let forgotten = schedules::forget_runs(&mut *beat.conn().await?, &ids, KEPT).await?;
    step.add("forgotten", usize::try_from(forgotten).unwrap_or_default());
    Ok(())
}

/// With what the runs get: it is read for those schedules only of which there is one.
async fn turns(beat: &Beat, parts: &[Part<'_>]) -> Result<Vec<Turn>, StepError> {
    let fire = parts.iter().filter(|part| part.runs.iter().any(|run| run.outcome == Outcome::Fire));
    let ids: Vec<ScheduleId> = fire.map(|part| part.schedule.id).collect();
    let mut whole = HashMap::new();
    if !ids.is_empty() {
        let found = schedules::whole(&mut *beat.conn().await?, &ids, None, beat.now()).await?;
        whole.extend(found.into_iter().map(|schedule| (schedule.id, schedule)));
    }
    Ok(parts.iter().filter_map(|part| turn(beat, part, &whole)).collect())
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
