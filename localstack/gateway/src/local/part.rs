//! Which part of the template a process plays: all of it, the part of a node's role, or the deploy step.

use clap::ValueEnum;

use crate::{
    Capacity, Limits,
    template::{EnvValue, EventSourceMapping, Stack},
};

/// The deploy step, which nothing in the template invokes.
const WORKER: &str = "WorkerFunction";
const MIGRATE: &str = "MigrateFunction";
/// What tells a health check that the process is there.
const PING: &str = "GET /health/ping";
/// On the way to its answer a node says that it lives.
const NODES: &str = "GET /health/nodes";

/// What a node is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Answers requests.
    Api,
    /// Hears doorbells and runs tasks.
    Worker,
    /// Follows the schedule.
    Beat,
}

impl Role {
    /// As `/health/nodes` shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Beat => "beat",
        }
    }
}

/// Which part of the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Everything,
    /// What a node plays.
    Node(Role),
    /// The deploy step alone.
    Deploy,
}

impl Part {
    /// Leaves nothing in the stack but this part: its routes, mappings and schedules, and the functions behind them.
    /// Queues and tables stay, for they are there for all.
    pub fn cut(self, stack: &mut Stack) {
        let routes: Option<&[&str]> = match self {
            Self::Everything => return,
            Self::Node(Role::Api) => None,
            Self::Node(Role::Worker) => Some(&[PING]),
            Self::Node(Role::Beat) => Some(&[PING, NODES]),
            Self::Deploy => Some(&[]),
        };
        if let (Some(api), Some(routes)) = (&mut stack.api, routes) {
            api.routes.retain(|route| routes.contains(&route.key.to_string().as_str()));
        }
        if self != Self::Node(Role::Worker) {
            stack.mappings.clear();
        }
        if self != Self::Node(Role::Beat) {
            stack.schedules.clear();
        }
        let used = used(stack);
        stack.functions.retain(|id, _| used.contains(id) || (self == Self::Deploy && id == MIGRATE));
    }
}

/// The functions that something in the stack invokes.
fn used(stack: &Stack) -> Vec<String> {
    let mut used: Vec<String> = stack.mappings.iter().map(|mapping| mapping.function.clone()).collect();
    used.extend(stack.schedules.iter().map(|schedule| schedule.function.clone()));
    if let Some(api) = &stack.api {
        for route in &api.routes {
            used.push(route.function.clone());
            let authorizer = route.authorizer.as_ref().and_then(|id| api.authorizers.get(id));
            used.extend(authorizer.map(|authorizer| authorizer.function.clone()));
        }
    }
    used
}

/// How many tasks run at a time at most for the lanes' mappings of a stack: invocations side by side x tasks of one.
pub fn tasks_at_once(stack: &Stack) -> u32 {
    let of_one = |mapping: &EventSourceMapping| {
        let lane = mapping.queue.strip_suffix("Queue")?.to_uppercase();
        match stack.functions.get(WORKER)?.environment.get(&format!("{lane}_SIDE_BY_SIDE"))? {
            EnvValue::Known(number) => number.parse::<u32>().ok(),
            EnvValue::Missing(_) => None,
        }
    };
    let of_mapping = |mapping: &EventSourceMapping| {
        mapping.max_concurrency.unwrap_or(1) * of_one(mapping).unwrap_or(mapping.batch.size)
    };
    stack.mappings.iter().filter(|mapping| mapping.function == WORKER).map(of_mapping).sum()
}

/// How many connections the functions of a stack open to the database at most, in one process: environments x pool.
pub fn database_connections(stack: &Stack, limits: Limits) -> u32 {
    let of_function = |function: &crate::template::FunctionSpec| {
        function.environment.get("DATABASE_URL")?;
        let pool = match function.environment.get("DATABASE_POOL_SIZE") {
            Some(EnvValue::Known(size)) => size.parse().ok()?,
            _ => 1,
        };
        let environments = match limits.capacity {
            Capacity::Standard => function.reserved_concurrency.unwrap_or(limits.max_environments),
            Capacity::Managed { .. } => limits.max_environments,
        };
        Some(environments * pool)
    };
    stack.functions.values().filter_map(of_function).sum()
}
