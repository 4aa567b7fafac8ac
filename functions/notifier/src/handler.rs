//! A batch of doorbells.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use halyard_auth::account_key::AccountKey;
use halyard_cloud::{CallbackBell, callbacks};
use halyard_domain::{Clock, Entropy};
use halyard_platform::{Handler, Invocation, function::FunctionError};
use halyard_store::Pool;
use halyard_webhook::Outbound;
use tokio::time::Instant;

use crate::round::Round;

/// The function.
pub struct Notifier {
    pub(crate) pool: Pool,
    pub(crate) bell: CallbackBell,
    pub(crate) client: Arc<dyn Outbound>,
    pub(crate) account_key: AccountKey,
    /// What events name as their source.
    pub(crate) source: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<Entropy>,
}

#[async_trait]
impl Handler<SqsEvent, SqsBatchResponse> for Notifier {
    async fn handle(&self, event: SqsEvent, invocation: Invocation) -> Result<SqsBatchResponse, FunctionError> {
        let left = invocation.deadline - self.clock.now();
        let deadline = Instant::now() + left.to_std().unwrap_or(Duration::ZERO);
        let (mut heard, mut failed) = (Vec::new(), Vec::new());
        for record in event.records {
            let id = record.message_id.unwrap_or_default();
            match callbacks::decode(record.body.as_deref().unwrap_or_default()) {
                Ok(()) => heard.push(id),
                Err(error) => {
                    tracing::error!(message_id = %id, %error, "undecodable message");
                    failed.push(id);
                }
            }
        }
        if !heard.is_empty() {
            match Round::new(self, deadline).run().await {
                Ok(counts) => tracing::debug!(?counts, "round done"),
                Err(error) => {
                    tracing::error!(%error, doorbells = heard.len(), "nothing could be claimed; the doorbells will come again");
                    failed.append(&mut heard);
                }
            }
        }
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
