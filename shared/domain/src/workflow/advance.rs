//! What follows from the ends of steps.

use std::collections::{BTreeMap, BTreeSet};

use super::{FailureStrategy, WorkflowState};
use crate::task::TaskState;

/// Where a workflow stands before the signals at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Steps that have not ended.
    pub unfinished: i32,
    /// Steps that ended other than completed.
    pub unsuccessful: i32,
    /// Did a step fail under [`FailureStrategy::StopOnError`]?
    pub stopping: bool,
    /// Did somebody ask for it to be cancelled?
    pub cancel_requested: bool,
    /// What a step that does not complete means for the others.
    pub strategy: FailureStrategy,
}

/// The end of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// Its number.
    pub step: i32,
    /// How it ended.
    pub state: TaskState,
}

/// A step that waits for one that ended, or for one that cannot run any more because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependent {
    /// The one that it waits for.
    pub before: i32,
    /// Which.
    pub after: i32,
    /// Must the one before complete?
    pub needs_success: bool,
    /// How many steps it still waits for.
    pub waits_for: i32,
}

/// What follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advance {
    /// Steps that have not ended.
    pub unfinished: i32,
    /// Steps that ended other than completed.
    pub unsuccessful: i32,
    /// Is the workflow stopping?
    pub stopping: bool,
    /// Are the steps that do not run to be cancelled now?
    pub stop_now: bool,
    /// How many fewer steps these wait for.
    pub lowered: BTreeMap<i32, i32>,
    /// These wait no longer.
    pub released: BTreeSet<i32>,
    /// These can never run: what they need did not complete.
    pub skipped: BTreeSet<i32>,
    /// The workflow's end, if this is it.
    pub end: Option<WorkflowState>,
}

/// Decides. `dependents` are the edges that lead away from the steps of `signals`, and those that need success from there
/// on: what hangs on a step that did not complete is skipped as a whole, at once.
pub fn advance(progress: Progress, signals: &[Signal], dependents: &[Dependent]) -> Advance {
    let bad: BTreeSet<i32> = signals.iter().filter(|s| s.state != TaskState::Completed).map(|s| s.step).collect();
    let ended: BTreeSet<i32> = signals.iter().map(|s| s.step).collect();
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let unfinished = (progress.unfinished - count(signals.len())).max(0);
    let unsuccessful = progress.unsuccessful + count(bad.len());
    let fails = !bad.is_empty() && progress.strategy == FailureStrategy::StopOnError;
    let mut next = Advance {
        unfinished,
        unsuccessful,
        stopping: progress.stopping || fails,
        stop_now: fails && !progress.stopping && unfinished > 0,
        ..Advance::default()
    };
    for edge in dependents.iter().filter(|edge| ended.contains(&edge.before)) {
        if !bad.contains(&edge.before) || !edge.needs_success {
            *next.lowered.entry(edge.after).or_default() += 1;
        }
    }
    next.skipped = doomed(&bad, dependents);
    if !next.stopping && !progress.cancel_requested {
        let waits: BTreeMap<i32, i32> = dependents.iter().map(|edge| (edge.after, edge.waits_for)).collect();
        let free = next.lowered.iter().filter(|(step, by)| waits.get(step).is_some_and(|waits| waits <= by));
        next.released = free.map(|(step, _)| *step).filter(|step| !next.skipped.contains(step)).collect();
    }
    next.end = (unfinished == 0).then_some(match (unsuccessful, progress.cancel_requested) {
        (0, _) => WorkflowState::Completed,
        (_, true) => WorkflowState::Cancelled,
        (_, false) => WorkflowState::Failed,
    });
    next
}

/// Everything that needs, directly or by way of others, one of the steps of `bad` to complete.
fn doomed(bad: &BTreeSet<i32>, dependents: &[Dependent]) -> BTreeSet<i32> {
    let mut needing = BTreeMap::<i32, Vec<i32>>::new();
    for edge in dependents.iter().filter(|edge| edge.needs_success) {
        needing.entry(edge.before).or_default().push(edge.after);
    }
    let mut doomed = BTreeSet::new();
    let mut next: Vec<i32> = bad.iter().copied().collect();
    while let Some(step) = next.pop() {
        for &after in needing.get(&step).into_iter().flatten() {
            if doomed.insert(after) {
                next.push(after);
            }
        }
    }
    doomed
}
