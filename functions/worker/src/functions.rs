//! How tasks invoke functions: through Lambda's API.

use std::sync::Arc;

use async_trait::async_trait;
use halyard_cloud::functions::{Invocation, InvokeError, Lambda};
use halyard_domain::Clock;
use halyard_jobs::tools::{FunctionAnswer, FunctionCall, FunctionError, Functions};

/// The client as tasks use it.
#[derive(Debug)]
pub struct LambdaTool {
    pub client: Lambda,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Functions for LambdaTool {
    async fn invoke(&self, call: FunctionCall) -> Result<FunctionAnswer, FunctionError> {
        let invocation = Invocation {
            function: &call.function,
            qualifier: call.qualifier.as_deref(),
            payload: call.payload.into(),
            client_context: &call.client_context,
            limit: call.limit,
        };
        match self.client.invoke(invocation, self.clock.now().into()).await {
            Ok(answer) => Ok(FunctionAnswer { payload: answer.payload.to_vec(), failed: answer.failed }),
            Err(error) => Err(sorted(&error)),
        }
    }
}

/// Source: AWS Lambda API Reference, `Invoke`, "Errors".
fn sorted(error: &InvokeError) -> FunctionError {
    let why = error.to_string();
    match error {
        InvokeError::Refused { status: 429, after, .. } => FunctionError::Throttled(why, *after),
        InvokeError::Refused { status: 404, .. } => FunctionError::Unknown(why),
        // A function that is being made or changed is busy (409); 5xx are Lambda's, or those of the function's network.
        InvokeError::Refused { status: 409 | 500.., .. } | InvokeError::Silence(_) => FunctionError::Unavailable(why),
        InvokeError::Refused { .. } => FunctionError::Refused(why),
    }
}
