//! From what a client sent to steps and the edges between them.

use std::collections::{HashMap, VecDeque};

use super::{FailureStrategy, Mode};

/// A step as the client described it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepSpec {
    /// What other steps call it.
    pub name: Option<String>,
    /// The names of the steps that must complete before it.
    pub depends_on: Vec<String>,
    /// Does it get the results of the steps before it?
    pub takes: bool,
}

/// One step waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The number of the step that comes first, from 0.
    pub before: usize,
    /// The number of the step that waits.
    pub after: usize,
    /// Must the first one complete? Else any end of it will do.
    pub needs_success: bool,
    /// Does the result of the first one go into the input of the other?
    pub gives: bool,
}

/// Steps, by number, and what they wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// How the order came about.
    pub mode: Mode,
    /// All edges, ascending by `after`.
    pub edges: Vec<Edge>,
}

/// What is wrong with the steps. Each names the step by its number, from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two steps have one name.
    #[error("another step has the same name")]
    NameTaken(usize),
    /// Which dependency, by its place in `depends_on`, is unknown.
    #[error("there is no step of that name")]
    UnknownStep(usize, usize),
    /// Which dependency is named twice, or is the step itself.
    #[error("a step cannot depend on itself, and on another one once only")]
    Repeated(usize, usize),
    /// The step is part of a cycle, or waits for one.
    #[error("it waits for itself, by way of others")]
    Cycle(usize),
    /// It takes results, but no step comes before it.
    #[error("no step comes before it")]
    NothingToTake(usize),
}

impl Graph {
    /// All steps at once.
    pub fn parallel() -> Self {
        Self { mode: Mode::Parallel, edges: Vec::new() }
    }

    /// One step after the other. Under [`FailureStrategy::Continue`] a step that takes nothing from the one before it
    /// follows whatever became of that.
    ///
    /// # Errors
    /// When the first step takes results.
    pub fn sequential(steps: &[StepSpec], strategy: FailureStrategy) -> Result<Self, GraphError> {
        if steps.first().is_some_and(|step| step.takes) {
            return Err(GraphError::NothingToTake(0));
        }
        let edge = |(number, step): (usize, &StepSpec)| Edge {
            before: number - 1,
            after: number,
            needs_success: step.takes || strategy == FailureStrategy::StopOnError,
            gives: step.takes,
        };
        Ok(Self { mode: Mode::Sequential, edges: steps.iter().enumerate().skip(1).map(edge).collect() })
    }

    /// As the steps say with `depends_on`; without a single one of these, one after the other.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn of(steps: &[StepSpec], strategy: FailureStrategy) -> Result<Self, GraphError> {
        let mut numbers = HashMap::new();
        for (number, step) in steps.iter().enumerate() {
            if let Some(name) = &step.name
                && numbers.insert(name.as_str(), number).is_some()
            {
                return Err(GraphError::NameTaken(number));
            }
        }
        if steps.iter().all(|step| step.depends_on.is_empty()) {
            return Self::sequential(steps, strategy);
        }
        let mut edges = Vec::new();
        for (after, step) in steps.iter().enumerate() {
            if step.takes && step.depends_on.is_empty() {
                return Err(GraphError::NothingToTake(after));
            }
            let first = edges.len();
            for (place, name) in step.depends_on.iter().enumerate() {
                let before = *numbers.get(name.as_str()).ok_or(GraphError::UnknownStep(after, place))?;
                if before == after || edges[first..].iter().any(|edge: &Edge| edge.before == before) {
                    return Err(GraphError::Repeated(after, place));
                }
                edges.push(Edge { before, after, needs_success: true, gives: step.takes });
            }
        }
        let graph = Self { mode: Mode::Graph, edges };
        match graph.never_released(steps.len()) {
            Some(step) => Err(GraphError::Cycle(step)),
            None => Ok(graph),
        }
    }

    /// For how many others each of `steps` steps waits.
    pub fn waits(&self, steps: usize) -> Vec<usize> {
        let mut waits = vec![0; steps];
        for edge in &self.edges {
            waits[edge.after] += 1;
        }
        waits
    }

    /// The first step that would wait for ever, if there is one. Source: A. B. Kahn, "Topological sorting of large
    /// networks", CACM 5 (1962).
    fn never_released(&self, steps: usize) -> Option<usize> {
        let mut waits = self.waits(steps);
        let mut followers = vec![Vec::new(); steps];
        for edge in &self.edges {
            followers[edge.before].push(edge.after);
        }
        let mut free: VecDeque<usize> = (0..steps).filter(|step| waits[*step] == 0).collect();
        while let Some(step) = free.pop_front() {
            for &after in &followers[step] {
                waits[after] -= 1;
                if waits[after] == 0 {
                    free.push_back(after);
                }
            }
        }
        waits.iter().position(|left| *left > 0)
    }
}
