//! On its way out: what a gateway's parts are told, and when.

use tokio::sync::watch;

/// How far a gateway is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Not at all.
    Running,
    /// Nothing new is polled or fired; requests are still answered, the last one of each connection.
    Leaving,
    /// Nobody is let in any more.
    Gone,
}

/// Tells the parts of a gateway.
#[derive(Debug)]
pub(crate) struct Helm(watch::Sender<Phase>);

impl Helm {
    pub fn new() -> (Self, Course) {
        let (sender, receiver) = watch::channel(Phase::Running);
        (Self(sender), Course(receiver))
    }

    /// Nobody listens when nothing was started.
    pub fn steer(&self, phase: Phase) {
        let _ = self.0.send(phase);
    }
}

/// What a part is told. A gateway that was dropped is gone.
#[derive(Debug, Clone)]
pub struct Course(watch::Receiver<Phase>);

impl Course {
    /// Waits until the gateway leaves.
    pub(crate) async fn leaving(&mut self) {
        let _ = self.0.wait_for(|phase| *phase >= Phase::Leaving).await;
    }

    /// Waits until it is gone.
    pub(crate) async fn gone(&mut self) {
        let _ = self.0.wait_for(|phase| *phase == Phase::Gone).await;
    }

    /// Whether it leaves, or has.
    pub(crate) fn is_leaving(&self) -> bool {
        *self.0.borrow() >= Phase::Leaving
    }
}
