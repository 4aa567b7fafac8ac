//! Graphs of steps, and what follows from their ends.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use halyard_domain::{
    task::TaskState,
    workflow::{
        Dependent, Edge, FailureStrategy, Graph, GraphError, Mode, Progress, Signal, StepSpec, WorkflowState, advance,
    },
};
use proptest::prelude::*;

fn step(name: &str, depends_on: &[&str]) -> StepSpec {
    StepSpec {
        name: Some(name.to_owned()),
        depends_on: depends_on.iter().map(|name| (*name).to_owned()).collect(),
        takes: false,
    }
}

fn taking(spec: StepSpec) -> StepSpec {
    StepSpec { takes: true, ..spec }
}

#[test]
fn a_chain_without_dependencies_is_a_line() {
    let steps = [step("a", &[]), taking(step("b", &[])), step("c", &[])];
    let of = |strategy| Graph::of(&steps, strategy).unwrap();
    let edge = |before, needs_success, gives| Edge { before, after: before + 1, needs_success, gives };
    let stop = Graph { mode: Mode::Sequential, edges: vec![edge(0, true, true), edge(1, true, false)] };
    assert_eq!(of(FailureStrategy::StopOnError), stop);
    // What takes nothing may follow a failure.
    let go_on = Graph { mode: Mode::Sequential, edges: vec![edge(0, true, true), edge(1, false, false)] };
    assert_eq!(of(FailureStrategy::Continue), go_on);
}

#[test]
fn what_is_wrong_with_a_graph_is_named_with_its_place() {
    let of = |steps: &[StepSpec]| Graph::of(steps, FailureStrategy::StopOnError).unwrap_err();
    assert_eq!(of(&[step("a", &[]), step("a", &[])]), GraphError::NameTaken(1));
    assert_eq!(of(&[step("a", &[]), step("b", &["a", "z"])]), GraphError::UnknownStep(1, 1));
    assert_eq!(of(&[step("a", &[]), step("b", &["a", "a"])]), GraphError::Repeated(1, 1));
    assert_eq!(of(&[step("a", &["a"])]), GraphError::Repeated(0, 0));
    assert_eq!(of(&[step("r", &[]), step("a", &["r", "b"]), step("b", &["a"])]), GraphError::Cycle(1));
    assert_eq!(of(&[taking(step("a", &[])), step("b", &["a"])]), GraphError::NothingToTake(0));
    assert_eq!(of(&[taking(step("a", &[])), step("b", &[])]), GraphError::NothingToTake(0));
}

#[test]
fn a_fan_in_is_released_by_the_last_of_those_it_waits_for() {
    let progress = Progress {
        unfinished: 3,
        unsuccessful: 0,
        stopping: false,
        cancel_requested: false,
        strategy: FailureStrategy::StopOnError,
    };
    let signals: Vec<_> = [0, 1].map(|step| Signal { step, state: TaskState::Completed }).to_vec();
    let edge = |before, waits_for| Dependent { before, after: 2, needs_success: true, waits_for };
    let first = advance(progress, &signals[..1], &[edge(0, 2)]);
    assert_eq!((first.released.len(), first.lowered[&2], first.unfinished), (0, 1, 2));
    let both = advance(progress, &signals, &[edge(0, 2), edge(1, 2)]);
    assert_eq!(both.released, BTreeSet::from([2]));
    assert_eq!(both.end, None);
}

#[test]
fn a_cancelled_workflow_ends_cancelled_unless_everything_had_completed() {
    let progress = Progress {
        unfinished: 1,
        unsuccessful: 0,
        stopping: false,
        cancel_requested: true,
        strategy: FailureStrategy::Continue,
    };
    let end = |state| advance(progress, &[Signal { step: 0, state }], &[]).end;
    assert_eq!(end(TaskState::Completed), Some(WorkflowState::Completed));
    assert_eq!(end(TaskState::Cancelled), Some(WorkflowState::Cancelled));
    assert_eq!(end(TaskState::Dead), Some(WorkflowState::Cancelled));
}

/// A workflow in memory: what the database does with decisions.
struct Model {
    edges: Vec<Edge>,
    waits: Vec<i32>,
    states: Vec<TaskState>,
    progress: Progress,
    end: Option<WorkflowState>,
}

fn number(step: usize) -> i32 {
    i32::try_from(step).unwrap()
}

fn index(step: i32) -> usize {
    usize::try_from(step).unwrap()
}

impl Model {
    fn new(edges: Vec<Edge>, steps: usize, strategy: FailureStrategy) -> Self {
        let graph = Graph { mode: Mode::Graph, edges };
        let waits: Vec<i32> = graph.waits(steps).into_iter().map(number).collect();
        let states = waits.iter().map(|n| if *n == 0 { TaskState::Queued } else { TaskState::Scheduled }).collect();
        let progress =
            Progress { unfinished: number(steps), unsuccessful: 0, stopping: false, cancel_requested: false, strategy };
        Self { edges: graph.edges, waits, states, progress, end: None }
    }

    /// The edges that the store reads: away from those that ended, and on along those that need success.
    fn dependents(&self, signals: &[Signal]) -> Vec<Dependent> {
        let mut from: BTreeSet<i32> = signals.iter().map(|s| s.step).collect();
        let bad: BTreeSet<i32> = signals.iter().filter(|s| s.state != TaskState::Completed).map(|s| s.step).collect();
        let mut doomed = bad;
        loop {
            let more: BTreeSet<i32> = self
                .edges
                .iter()
                .filter(|e| e.needs_success && doomed.contains(&number(e.before)))
                .map(|e| number(e.after))
                .filter(|after| !doomed.contains(after))
                .collect();
            if more.is_empty() {
                break;
            }
            doomed.extend(more);
        }
        from.extend(doomed);
        let edge = |e: &Edge| Dependent {
            before: number(e.before),
            after: number(e.after),
            needs_success: e.needs_success,
            waits_for: self.waits[e.after],
        };
        self.edges.iter().filter(|e| from.contains(&number(e.before))).map(edge).collect()
    }

    /// Applies a decision; answers the signals that it causes.
    fn apply(&mut self, signals: &[Signal]) -> Vec<Signal> {
        let next = advance(self.progress, signals, &self.dependents(signals));
        self.progress.unfinished = next.unfinished;
        self.progress.unsuccessful = next.unsuccessful;
        self.progress.stopping = next.stopping;
        for (step, by) in &next.lowered {
            self.waits[index(*step)] -= by;
        }
        for step in &next.released {
            if self.states[index(*step)] == TaskState::Scheduled {
                self.states[index(*step)] = TaskState::Queued;
            }
        }
        let mut caused = Vec::new();
        for (step, state) in self.states.iter_mut().enumerate() {
            let waits = matches!(state, TaskState::Scheduled) && next.skipped.contains(&number(step));
            let stopped = next.stop_now && matches!(state, TaskState::Scheduled | TaskState::Queued);
            if waits || stopped {
                *state = TaskState::Cancelled;
                caused.push(Signal { step: number(step), state: *state });
            }
        }
        if let Some(end) = next.end {
            assert_eq!(self.end.replace(end), None, "it ends once");
        }
        caused
    }
}

fn graphs() -> impl Strategy<Value = (usize, Vec<Edge>)> {
    (1_usize..12).prop_flat_map(|steps| {
        proptest::collection::vec((0..steps, 0..steps, any::<bool>()), 0..40).prop_map(move |picks| {
            let forward = picks.into_iter().filter(|(before, after, _)| before < after);
            let edge = |(before, after, needs_success)| Edge { before, after, needs_success, gives: false };
            let mut edges: Vec<Edge> = forward.map(edge).collect();
            edges.sort_by_key(|e| (e.after, e.before));
            edges.dedup_by_key(|e| (e.after, e.before));
            (steps, edges)
        })
    })
}

proptest! {
    #[test]
    fn whatever_the_graph_and_the_ends_every_step_ends_and_the_workflow_once(
        (steps, edges) in graphs(),
        continues in any::<bool>(),
        ends in proptest::collection::vec(0_u8..4, 12),
        picks in proptest::collection::vec((0_usize..12, any::<bool>()), 200),
    ) {
        let strategy = if continues { FailureStrategy::Continue } else { FailureStrategy::StopOnError };
        let mut model = Model::new(edges.clone(), steps, strategy);
        let mut heard = Vec::new();
        for (pick, listen) in picks {
            let ready: Vec<usize> = (0..steps).filter(|s| model.states[*s] == TaskState::Queued).collect();
            if !ready.is_empty() {
                let step = ready[pick % ready.len()];
                for edge in edges.iter().filter(|e| e.after == step) {
                    let before = model.states[edge.before];
                    prop_assert!(before.is_terminal(), "step {step} runs before {} has ended", edge.before);
                    prop_assert!(!edge.needs_success || before == TaskState::Completed);
                }
                let state = if ends[step] == 0 { TaskState::Failed } else { TaskState::Completed };
                model.states[step] = state;
                heard.push(Signal { step: number(step), state });
            }
            if (listen || ready.is_empty()) && !heard.is_empty() {
                let signals = std::mem::take(&mut heard);
                heard = model.apply(&signals);
            }
        }
        prop_assert!(model.states.iter().all(|state| state.is_terminal()), "{:?}", model.states);
        let good = model.states.iter().all(|state| *state == TaskState::Completed);
        prop_assert_eq!(model.end, Some(if good { WorkflowState::Completed } else { WorkflowState::Failed }));
    }
}
