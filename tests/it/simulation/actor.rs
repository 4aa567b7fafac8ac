//! Something under way: a request, a batch of doorbells, a beat. It moves only when the stepper polls it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures::{
    future::LocalBoxFuture,
    task::{ArcWake, AtomicWaker, waker},
};
use serde_json::Value;

use super::{
    request::Request,
    stage::{HostId, Stage},
};

/// How it ended.
#[derive(Debug)]
pub enum Ended {
    /// With an answer to a client.
    Answered { request: Request, status: u16, body: Value },
    /// With nothing that anybody hears.
    Done(String),
}

/// Set whenever it could go on.
#[derive(Default)]
struct Flag {
    woken: AtomicBool,
    stepper: AtomicWaker,
}

impl ArcWake for Flag {
    fn wake_by_ref(this: &Arc<Self>) {
        this.woken.store(true, Ordering::SeqCst);
        this.stepper.wake();
    }
}

/// It.
pub struct Actor {
    /// Its environment's place.
    pub slot: usize,
    /// Its environment's life.
    pub host: HostId,
    /// For the trace.
    pub name: String,
    future: LocalBoxFuture<'static, Ended>,
    flag: Arc<Flag>,
    waker: Waker,
}

/// Rounds of the runtime in which nothing moves until it is believed that nothing will: what one side of a socket wrote the
/// other can read at once, and hears of it in the next round.
const ROUNDS: u32 = 4;

impl Actor {
    /// Not polled yet.
    pub fn new(slot: usize, host: HostId, name: String, future: LocalBoxFuture<'static, Ended>) -> Self {
        let flag = Arc::new(Flag { woken: AtomicBool::new(true), stepper: AtomicWaker::new() });
        Self { slot, host, name, future, waker: waker(Arc::clone(&flag)), flag }
    }

    /// Could it go on?
    pub fn is_woken(&self) -> bool {
        self.flag.woken.load(Ordering::SeqCst)
    }

    /// Polls it for as long as it can go on without a word of the stepper.
    pub async fn run(&mut self, stage: &Stage) -> Option<Ended> {
        let mut quiet = 0;
        while quiet < ROUNDS {
            let seen = stage.activity();
            if self.flag.woken.swap(false, Ordering::SeqCst) {
                quiet = 0;
                if let Poll::Ready(ended) = self.future.as_mut().poll(&mut Context::from_waker(&self.waker)) {
                    return Some(ended);
                }
            }
            tokio::task::yield_now().await;
            if stage.activity() != seen || self.is_woken() {
                quiet = 0;
            } else if stage.under_way() > 0 {
                stage
                    .changed(seen, |waker| {
                        self.flag.stepper.register(waker);
                        self.is_woken()
                    })
                    .await;
            } else {
                quiet += 1;
            }
        }
        None
    }
}

/// Lets what is under way come to an end, whoever asked for it.
pub async fn settle(stage: &Stage) {
    let mut quiet = 0;
    while quiet < ROUNDS {
        let seen = stage.activity();
        tokio::task::yield_now().await;
        if stage.activity() != seen {
            quiet = 0;
        } else if stage.under_way() > 0 {
            stage.changed(seen, |_| false).await;
        } else {
            quiet += 1;
        }
    }
}
