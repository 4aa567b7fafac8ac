//! How tasks call other services: through the guarded client.

use async_trait::async_trait;
use halyard_jobs::tools::{Call, CallError, Called, Web};
use halyard_webhook::{GuardedClient, Limits, Outbound as _, Outgoing, SendError};

/// The client as tasks use it.
#[derive(Debug)]
pub struct GuardedWeb(pub GuardedClient);

#[async_trait]
impl Web for GuardedWeb {
    async fn call(&self, call: Call) -> Result<Called, CallError> {
        let limits = Limits { time: call.limit, body: call.keep };
        let Call { method, target, headers, body, .. } = call;
        let answer = self.0.send(Outgoing { method, target, headers, body: body.into() }, limits).await;
        match answer {
            Ok(answer) => Ok(Called {
                status: answer.status,
                headers: answer.headers,
                body: answer.body.to_vec(),
                cut: answer.cut,
            }),
            Err(error @ SendError::Refused(_)) => Err(CallError::Refused(error.to_string())),
            Err(error) => Err(CallError::Failed(error.to_string())),
        }
    }
}
