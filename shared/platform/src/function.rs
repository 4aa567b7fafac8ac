//! What a function is, whichever host it runs on.

use async_trait::async_trait;
use aws_lambda_events::{
    apigw::{
        ApiGatewayV2CustomAuthorizerSimpleResponse, ApiGatewayV2CustomAuthorizerV2Request, ApiGatewayV2httpRequest,
    },
    sqs::{SqsBatchResponse, SqsEvent},
};
use axum::Router;
use chrono::{DateTime, Utc};
use serde_json::Value;

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
