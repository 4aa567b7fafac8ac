//! What a function is, whichever host it runs on.

use std::panic::AssertUnwindSafe;

use async_trait::async_trait;
use aws_lambda_events::{
    apigw::{
        ApiGatewayV2CustomAuthorizerSimpleResponse, ApiGatewayV2CustomAuthorizerV2Request, ApiGatewayV2httpRequest,
    },
    sqs::{SqsBatchResponse, SqsEvent},
};
use axum::Router;
use chrono::{DateTime, Utc};
use lambda_http::request::LambdaRequest;
use serde_json::Value;
use tower::ServiceExt as _;

/// A request authorizer's event, payload 2.0.
pub type AuthorizerRequest = ApiGatewayV2CustomAuthorizerV2Request;
/// An authorizer's simple response: allow or deny, with context.
pub type AuthorizerResponse = ApiGatewayV2CustomAuthorizerSimpleResponse<Value>;

/// What a function is invoked with.
#[derive(Debug, Clone)]
pub enum Event {
    /// API Gateway HTTP API, payload 2.0.
    Http(Box<ApiGatewayV2httpRequest>),
    /// An authorizer's event.
    Authorizer(Box<AuthorizerRequest>),
    /// A batch of queue messages.
    Sqs(SqsEvent),
    /// A schedule fired, or the deploy step calls: the payload as it is.
    Plain(Value),
}

/// What a function answers.
#[derive(Debug)]
pub enum Answer {
    /// The response, before it becomes payload 2.0.
    Http(lambda_http::Response<lambda_http::Body>),
    /// Allow or deny.
    Authorizer(AuthorizerResponse),
    /// Which messages of the batch are to come again.
    Sqs(SqsBatchResponse),
    /// Whatever the caller of a plain invocation gets.
    Plain(Value),
}

/// What a function knows of the invocation.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The invocation's own id (not the client's request id).
    pub aws_request_id: String,
    /// When the host stops the function.
    pub deadline: DateTime<Utc>,
}

/// A function failed as a whole: on Lambda the invocation is an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FunctionError(pub String);

/// Handles events of one type. Nothing it starts may outlive the answer.
#[async_trait]
pub trait Handler<E, A>: Send + Sync {
    /// Handles one event.
    async fn handle(&self, event: E, invocation: Invocation) -> Result<A, FunctionError>;
}

/// An initialised function inside one execution environment.
pub enum Function {
    /// An endpoint group.
    Http(Router),
    /// The authorizer.
    Authorizer(Box<dyn Handler<AuthorizerRequest, AuthorizerResponse>>),
    /// A queue's consumer.
    Sqs(Box<dyn Handler<SqsEvent, SqsBatchResponse>>),
    /// A schedule's target or a deploy step.
    Plain(Box<dyn Handler<Value, Value>>),
}

impl Function {
    /// An endpoint group.
    pub fn http(router: Router) -> Self {
        Self::Http(router)
    }

    /// The authorizer.
    pub fn authorizer(handler: impl Handler<AuthorizerRequest, AuthorizerResponse> + 'static) -> Self {
        Self::Authorizer(Box::new(handler))
    }

    /// A queue's consumer.
    pub fn sqs(handler: impl Handler<SqsEvent, SqsBatchResponse> + 'static) -> Self {
        Self::Sqs(Box::new(handler))
    }

    /// A schedule's target or a deploy step.
    pub fn plain(handler: impl Handler<Value, Value> + 'static) -> Self {
        Self::Plain(Box::new(handler))
    }

    /// Handles one event, for hosts that have the function linked in. A request goes through `lambda_http`'s own
    /// conversion, as one that arrives as JSON text does.
    ///
    /// # Errors
    /// When the function fails as a whole, or the event is not of its kind.
    pub async fn invoke(&self, event: Event, invocation: Invocation) -> Result<Answer, FunctionError> {
        match (self, event) {
            (Self::Http(router), Event::Http(event)) => {
                let request = to_request(*event)?;
                Ok(Answer::Http(respond(router.clone(), request).await))
            }
            (Self::Authorizer(handler), Event::Authorizer(event)) => {
                handler.handle(*event, invocation).await.map(Answer::Authorizer)
            }
            (Self::Sqs(handler), Event::Sqs(event)) => handler.handle(event, invocation).await.map(Answer::Sqs),
            (Self::Plain(handler), Event::Plain(event)) => handler.handle(event, invocation).await.map(Answer::Plain),
            (_, event) => Err(FunctionError(format!("the function takes no such event: {event:?}"))),
        }
    }
}

/// `lambda_http` panics on an event that no API Gateway would send (a host that is no host, a body that is not base64):
/// that fails the invocation and not the environment.
fn to_request(event: ApiGatewayV2httpRequest) -> Result<lambda_http::Request, FunctionError> {
    std::panic::catch_unwind(AssertUnwindSafe(|| LambdaRequest::ApiGatewayV2(event).into()))
        .map_err(|_| FunctionError("the event cannot be read as a request".to_owned()))
}

/// One request through the router; the answer as `lambda_http` decides, text or base64.
pub(crate) async fn respond(router: Router, request: lambda_http::Request) -> lambda_http::Response<lambda_http::Body> {
    let Ok(response) = router.oneshot(request).await;
    lambda_http::IntoResponse::into_response(response).await
}
