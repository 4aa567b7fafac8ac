//! Callers who go on while something is done to the system.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use halyard_tests::{Actor, wait};
use http::Method;
use serde_json::json;
use tokio::{task::JoinHandle, time::MissedTickBehavior};

/// How long a caller waits from one request to the next, at least: all together ask some 300 times a second. Without, they took
/// both processors from the containers that start and stop.
const PACE: Duration = Duration::from_millis(25);

/// What the callers ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Requests that may be sent twice.
    Idempotent,
    /// Submits too.
    All,
}

/// Callers at work.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<Tally>>,
}

/// What they saw.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that were answered as they should be.
    pub answered: usize,
    /// What else happened.
    pub failures: Vec<String>,
    /// Tasks that were accepted.
    pub tasks: Vec<String>,
}

impl Load {
    /// Eight callers, one request after another each.
    pub fn start(user: &Actor, kind: Kind) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let caller = |_| tokio::spawn(call(user.clone(), kind, Arc::clone(&stop), Arc::clone(&answered)));
        let callers = (0..8).map(caller).collect();
        Self { stop, answered, callers }
    }

    /// Waits until so many more requests were answered: what is measured next is measured under load.
    pub async fn until_answered(&self, more: usize) {
        let aim = self.answered.load(Ordering::SeqCst) + more;
        wait::until(format!("{more} requests to be answered"), Duration::from_mins(1), async || {
            (self.answered.load(Ordering::SeqCst) >= aim).then_some(())
        })
        .await;
    }

    /// Ends it.
    pub async fn end(self) -> Tally {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Tally::default();
        for caller in self.callers {
            let tally = caller.await.expect("a caller");
            all.answered += tally.answered;
            all.failures.extend(tally.failures);
            all.tasks.extend(tally.tasks);
        }
        all
    }
}

async fn call(user: Actor, kind: Kind, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> Tally {
    let mut tally = Tally::default();
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let paths = ["/api/protected", "/health/ping", "/tasks/types", "/auth/profile", "/api/status"];
    for round in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        pace.tick().await;
        let submits = kind == Kind::All && round % 4 == 3;
        let path = if submits { "/tasks/submit" } else { paths[round % paths.len()] };
        let draft = if submits {
            user.request(Method::POST, path).json(&json!({"task_type": "sample", "data": {}}))
        } else {
            user.request(Method::GET, path)
        };
        match draft.try_send().await {
            Ok(answer) if answer.code() == 200 => {
                tally.answered += 1;
                answered.fetch_add(1, Ordering::SeqCst);
                if submits {
                    tally.tasks.extend(answer.json()["data"]["task_id"].as_str().map(str::to_owned));
                }
            }
            Ok(answer) => tally.failures.push(format!("{path}: {} {}", answer.code(), answer.text())),
            Err(error) => tally.failures.push(format!("{path}: {error}")),
        }
    }
    tally
}
