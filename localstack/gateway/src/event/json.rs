//! Events as JSON, and how large they are.

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use halyard_platform::function::Event;
use http::HeaderMap;
use lambda_http::Body;
use serde_json::Value;

/// 6 MB of request or response, and a little for what surrounds it: the number that Lambda names in its error.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
pub const LAMBDA_PAYLOAD_LIMIT: usize = 6_291_556;

/// Fields of the event type that only payload 1.0 has: API Gateway does not send them.
const NOT_IN_PAYLOAD_2: [&str; 6] =
    ["type", "methodArn", "httpMethod", "identitySource", "authorizationToken", "resource"];

/// The event as API Gateway, SQS or the scheduler would send it.
pub fn event_to_json(event: &Event) -> Result<Value, serde_json::Error> {
    match event {
        Event::Http(request) => {
            let mut json = serde_json::to_value(request)?;
            if let Some(fields) = json.as_object_mut() {
                for name in NOT_IN_PAYLOAD_2 {
                    fields.remove(name);
                }
            }
            Ok(json)
        }
        Event::Authorizer(request) => serde_json::to_value(request),
        Event::Sqs(batch) => serde_json::to_value(batch),
        Event::Plain(value) => Ok(value.clone()),
    }
}

/// About how many bytes of JSON an event for a function is: exact in the body, which is what makes it large.
pub fn event_size(event: &ApiGatewayV2httpRequest) -> usize {
    let body = event.body.as_deref().unwrap_or_default();
    let fixed = 1_200 + event.raw_path.as_ref().map_or(0, String::len) * 2;
    fixed + header_size(&event.headers) + escaped_len(body)
}

/// The same for a response.
pub fn response_size(response: &http::Response<Body>) -> usize {
    let body = match response.body() {
        Body::Text(text) => escaped_len(text),
        Body::Binary(bytes) => bytes.len().div_ceil(3) * 4,
        _ => 0,
    };
    100 + header_size(response.headers()) + body
}

fn header_size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 6).sum()
}

/// The length of a JSON string. Only counted where it matters: escapes make a text at most six times as long.
fn escaped_len(text: &str) -> usize {
    if text.len() < LAMBDA_PAYLOAD_LIMIT / 8 {
        return text.len() + 2;
    }
    let extra: usize = text
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
            0..=0x1f => 5,
            _ => 0,
        })
        .sum();
    text.len() + 2 + extra
}
