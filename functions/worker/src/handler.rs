//! A batch of doorbells.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use futures::future::join_all;
use halyard_domain::Lane;
use halyard_jobs::{
    doorbell,
    worker::{Heard, Worker},
};
use halyard_platform::{Handler, Invocation, function::FunctionError};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tracing::Instrument as _;

use crate::node::WorkerNode;

/// How often a batch that takes long looks whether a heartbeat is due.
const LOOK: Duration = Duration::from_secs(10);

/// The function: a worker, and the node that it is.
pub struct WorkerFunction {
    worker: Worker,
    node: WorkerNode,
}

impl WorkerFunction {
    /// Puts the function together.
    pub fn new(worker: Worker, node: WorkerNode) -> Self {
        Self { worker, node }
    }

    /// Answers the ids of the messages that no decision was reached on.
    async fn answer(&self, lane: Lane, message_ids: Vec<String>, count: usize, deadline: Instant) -> Vec<String> {
        let heard = Heard { messages: message_ids.len(), count };
        match self.worker.run_batch(lane, heard, deadline).await {
            Ok(outcome) => {
                self.node.add_processed(outcome.committed);
                tracing::debug!(?outcome, "batch done");
                Vec::new()
            }
            Err(error) => {
                tracing::error!(%error, doorbells = message_ids.len(), "nothing could be claimed; the doorbells will come again");
                message_ids
            }
        }
    }

    /// Says that the node lives while a batch runs, however long that takes.
    async fn live(&self, done: &Notify) {
        loop {
            tokio::select! {
                biased;
                () = done.notified() => return self.node.heartbeat(&self.worker).await,
                () = sleep(LOOK) => self.node.heartbeat(&self.worker).await,
            }
        }
    }
}

#[async_trait]
impl Handler<SqsEvent, SqsBatchResponse> for WorkerFunction {
    async fn handle(&self, event: SqsEvent, invocation: Invocation) -> Result<SqsBatchResponse, FunctionError> {
        let left = invocation.deadline - self.worker.clock.now();
        let deadline = Instant::now() + left.to_std().unwrap_or(Duration::ZERO);
        let mut failed = Vec::new();
        let mut lanes = BTreeMap::<Lane, (Vec<String>, usize)>::new();
        for record in event.records {
            let id = record.message_id.unwrap_or_default();
            match doorbell::decode(record.body.as_deref().unwrap_or_default()) {
                Ok(bell) => {
                    let (ids, count) = lanes.entry(bell.lane).or_default();
                    ids.push(id);
                    *count = count.saturating_add(bell.count);
                }
                Err(error) => {
                    tracing::error!(message_id = %id, %error, "undecodable message");
                    failed.push(id);
                }
            }
        }
        let done = Notify::new();
        let batches = async {
            let batches = lanes.into_iter().map(|(lane, (ids, count))| {
                let span = tracing::info_span!("batch", %lane, invocation = %invocation.aws_request_id, worker_id = %self.worker.id);
                self.answer(lane, ids, count, deadline).instrument(span)
            });
            let undecided = join_all(batches).await;
            done.notify_one();
            undecided
        };
        let (undecided, ()) = futures::join!(batches, self.live(&done));
        failed.extend(undecided.into_iter().flatten());
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = failed.into_iter().map(failure).collect();
        Ok(response)
    }
}

fn failure(id: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = id;
    failure
}
