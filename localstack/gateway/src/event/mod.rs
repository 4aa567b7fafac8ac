//! Between HTTP and payload 2.0, both ways.
//!
//! Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>.
//! In process an event stays a typed value and a response stays a response; over the Invoke API both are JSON. The two
//! ways give the same result (a property test holds them equal), because the typed way drops exactly what the JSON way
//! cannot carry.

mod body;
mod json;
mod request;
mod response;

pub use body::{RequestBody, encode_body};
pub use json::{LAMBDA_PAYLOAD_LIMIT, event_size, event_to_json, response_size};
pub use request::{Caller, RequestFacts, authorizer_event, function_event, identity_values};
pub use response::{BadPayload, response_from_json, response_from_typed};

/// What a client gets: status, headers, and a body that is not copied again.
pub type Response = http::Response<bytes::Bytes>;
