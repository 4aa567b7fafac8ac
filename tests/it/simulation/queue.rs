//! The queues as one environment sees them: each call waits on the stage, and messages may come twice or late.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use halyard_cloud::queue::{Depth, Outgoing, Queue, QueueError, QueueName, QueueTwin, Received, limits::MAX_DELAY};

use super::stage::{HostId, Kind, Passage, Stage};

/// The queues.
#[derive(Debug)]
pub struct StagedQueue {
    pub twin: QueueTwin,
    pub stage: Arc<Stage>,
    pub host: HostId,
}

impl StagedQueue {
    async fn staged<T>(
        &self,
        kind: Kind,
        label: String,
        call: impl AsyncFnOnce(&QueueTwin, Passage) -> Result<T, QueueError>,
    ) -> Result<T, QueueError> {
        let broken = || QueueError::Unavailable("the simulation broke it".to_owned());
        self.stage.pass(self.host, kind, label, broken, async |passage| call(&self.twin, passage).await).await
    }
}

#[async_trait]
impl Queue for StagedQueue {
    async fn send(&self, queue: &QueueName, messages: &[Outgoing]) -> Result<Vec<usize>, QueueError> {
        let seconds: Vec<u64> = messages.iter().map(|message| message.delay.as_secs()).collect();
        let label = format!("send to {queue} after {seconds:?} s");
        self.staged(Kind::Send, label, async |twin, passage| match passage {
            Passage::Twice => {
                twin.send(queue, messages).await?;
                twin.send(queue, messages).await
            }
            Passage::Late(by) => {
                let late = |message: &Outgoing| Outgoing {
                    delay: (message.delay + Duration::from_secs(by)).min(MAX_DELAY),
                    ..message.clone()
                };
                twin.send(queue, &messages.iter().map(late).collect::<Vec<_>>()).await
            }
            _ => twin.send(queue, messages).await,
        })
        .await
    }

    async fn receive(
        &self,
        queue: &QueueName,
        max: u32,
        wait: Duration,
        visibility: Option<Duration>,
    ) -> Result<Vec<Received>, QueueError> {
        let label = format!("receive from {queue}");
        self.staged(Kind::Queue, label, async |twin, _| twin.receive(queue, max, wait, visibility).await).await
    }

    async fn delete(&self, queue: &QueueName, receipt_handles: &[String]) -> Result<(), QueueError> {
        let label = format!("delete {} from {queue}", receipt_handles.len());
        self.staged(Kind::Queue, label, async |twin, _| twin.delete(queue, receipt_handles).await).await
    }

    async fn change_visibility(
        &self,
        queue: &QueueName,
        receipt_handle: &str,
        timeout: Duration,
    ) -> Result<(), QueueError> {
        let label = format!("change the visibility in {queue}");
        self.staged(Kind::Queue, label, async |twin, _| twin.change_visibility(queue, receipt_handle, timeout).await)
            .await
    }

    async fn purge(&self, queue: &QueueName) -> Result<(), QueueError> {
        self.twin.purge(queue).await
    }

    async fn depth(&self, queue: &QueueName) -> Result<Depth, QueueError> {
        let label = format!("depth of {queue}");
        self.staged(Kind::Queue, label, async |twin, _| twin.depth(queue).await).await
    }
}
