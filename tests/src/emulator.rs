//! The AWS APIs of an emulator, over plain HTTP: an emulator checks no signature, only which service one names.

use http::{Method, Request};
use serde_json::{Value, json};

use crate::{
    environment::variable,
    response::TestResponse,
    transport::{Remote, Transport as _},
};

/// An emulator that a stack is deployed in.
#[derive(Debug, Clone)]
pub struct Emulator {
    /// Where it is.
    pub endpoint: String,
    http: Remote,
}

impl Emulator {
    /// The one of this test run.
    ///
    /// # Panics
    /// With one sentence, when there is none.
    pub fn of_this_run() -> Self {
        let endpoint = variable("TEST_AWS_ENDPOINT")
            .expect("these tests need an emulator with the stack in it: run them with `make test-emulated`");
        Self::at(&endpoint)
    }

    /// The one at this endpoint.
    pub fn at(endpoint: &str) -> Self {
        Self { http: Remote::new(endpoint), endpoint: endpoint.to_owned() }
    }

    async fn send(&self, service: &str, mut request: Request<bytes::Bytes>) -> TestResponse {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/{}/{service}/aws4_request, SignedHeaders=host, Signature=0",
            region()
        );
        request.headers_mut().insert("authorization", scope.parse().expect("a header value"));
        self.http.try_send(request).await.unwrap_or_else(|e| panic!("{service}: {e}"))
    }

    /// An operation of a service that speaks JSON: `sqs`, `AmazonSQS`, `SendMessage`.
    pub async fn json(&self, service: &str, target: &str, operation: &str, body: &Value) -> Value {
        self.try_json(service, target, operation, body).await.expect(200).json()
    }

    /// Likewise; it may refuse.
    pub async fn try_json(&self, service: &str, target: &str, operation: &str, body: &Value) -> TestResponse {
        let request = Request::post("/")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("{target}.{operation}"))
            .body(body.to_string().into())
            .expect("a request");
        self.send(service, request).await
    }

    /// An operation of SQS.
    pub async fn sqs(&self, operation: &str, body: &Value) -> Value {
        // Operations without an answer have none at all.
        let answer = self.try_json("sqs", "AmazonSQS", operation, body).await.expect(200);
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    /// A queue's URL.
    pub async fn queue_url(&self, name: &str) -> String {
        let found = self.sqs("GetQueueUrl", &json!({ "QueueName": name })).await;
        found["QueueUrl"].as_str().expect("a queue's URL").to_owned()
    }

    /// A number among a queue's attributes.
    pub async fn queue_number(&self, url: &str, attribute: &str) -> u64 {
        let found = self.sqs("GetQueueAttributes", &json!({"QueueUrl": url, "AttributeNames": ["All"]})).await;
        let number = found["Attributes"][attribute].as_str().and_then(|n| n.parse().ok());
        number.unwrap_or_else(|| panic!("no number {attribute} in {found}"))
    }

    /// GET of the Lambda API: `functions/NAME/aliases/live`.
    pub async fn lambda(&self, path: &str) -> TestResponse {
        let request = Request::get(format!("/2015-03-31/{path}")).body(bytes::Bytes::new()).expect("a request");
        self.send("lambda", request).await
    }

    /// Invokes a function by its alias and waits for the answer. The header `x-amz-function-error` says if it failed.
    pub async fn invoke(&self, function: &str, payload: &Value) -> TestResponse {
        let path = format!("/2015-03-31/functions/{function}/invocations?Qualifier=live");
        let request = Request::builder().method(Method::POST).uri(path);
        self.send("lambda", request.body(payload.to_string().into()).expect("a request")).await.expect(200)
    }

    /// An operation of a service that speaks the query protocol: the XML of the answer, whatever its status.
    pub async fn query(&self, service: &str, version: &str, operation: &str, fields: &[(&str, &str)]) -> TestResponse {
        let mut body = format!("Action={operation}&Version={version}");
        for (name, value) in fields {
            assert!(value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{value} needs encoding");
            body.extend(["&", name, "=", value]);
        }
        let request = Request::post("/").header("content-type", "application/x-www-form-urlencoded");
        self.send(service, request.body(body.into()).expect("a request")).await
    }

    /// A request to S3 for a bucket.
    pub async fn bucket(&self, method: Method, name: &str) -> TestResponse {
        let request = Request::builder().method(method).uri(format!("/{name}"));
        self.send("s3", request.body(bytes::Bytes::new()).expect("a request")).await
    }

    /// An operation of CloudFormation.
    pub async fn cloudformation(&self, operation: &str, stack: &str) -> TestResponse {
        self.query("cloudformation", "2010-05-15", operation, &[("StackName", stack)]).await
    }
}

/// The region that everything is in.
pub fn region() -> String {
    variable("AWS_REGION").unwrap_or_else(|| "eu-central-1".to_owned())
}

/// What stands in each element of this name, in order.
pub fn elements<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(open.as_str()).skip(1).filter_map(|rest| rest.split_once(close.as_str())).map(|(text, _)| text).collect()
}
