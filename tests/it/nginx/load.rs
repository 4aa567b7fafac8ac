//! Callers who do not stop asking while something is done to the nodes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use halyard_tests::{Actor, wait};
use http::Method;
use tokio::task::JoinHandle;

/// Requests without a pause until it is told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    loops: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// By each of these callers, one request at a time.
    pub fn of(callers: Vec<Actor>, path: &'static str, connection: &'static str) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let one = |caller: Actor| {
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            tokio::spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let draft = caller.request(Method::GET, path).header("connection", connection);
                    match draft.try_send().await {
                        Ok(answer) if answer.code() == 200 => {}
                        Ok(answer) => failures.push(format!("{}: {}", answer.code(), answer.text())),
                        Err(error) => failures.push(error),
                    }
                    sent.fetch_add(1, Ordering::SeqCst);
                }
                failures
            })
        };
        let loops = callers.into_iter().map(one).collect();
        Self { stop, sent, loops }
    }

    /// Waits until so many more were answered.
    pub async fn goes_on(&self, more: usize) {
        let goal = self.sent.load(Ordering::SeqCst) + more;
        wait::until("requests to be answered", Duration::from_mins(1), async || {
            (self.sent.load(Ordering::SeqCst) >= goal).then_some(())
        })
        .await;
    }

    /// Stops, and gives how many there were and what failed.
    pub async fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::SeqCst);
        let mut failures = Vec::new();
        for one in self.loops {
            failures.extend(one.await.expect("a loop that ends"));
        }
        (self.sent.load(Ordering::SeqCst), failures)
    }
}
