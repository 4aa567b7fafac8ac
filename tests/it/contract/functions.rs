//! What Lambda answers, as the emulator has it: it runs Python by itself.

use std::{fs, process::Command, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use halyard_cloud::functions::{Answer, Invocation, InvokeError, Lambda};
use halyard_tests::{
    Scratch,
    environment::Servers,
    transport::{Remote, Transport as _},
};
use http::Request;
use serde_json::{Value, json};

use super::aws::{settings, unique};

const CODE: &str = "
class NoSuchCustomer(Exception):
    pass

def handler(event, context):
    if event.get('fail'):
        raise NoSuchCustomer('no customer 7')
    return {'seen': event, 'big': 12345678901234567890}
";

/// A function of that code; gives its name.
async fn function() -> String {
    let scratch = Scratch::new("function");
    fs::write(scratch.path().join("index.py"), CODE).expect("a file of the test's own");
    let zip = ["-m", "zipfile", "-c", "code.zip", "index.py"];
    assert!(Command::new("python3").args(zip).current_dir(scratch.path()).status().expect("python3 runs").success());
    let zip = BASE64_STANDARD.encode(fs::read(scratch.path().join("code.zip")).expect("the archive"));
    let name = unique("greet");
    let role = "arn:aws:iam::000000000000:role/function";
    let body = json!({"FunctionName": name, "Runtime": "python3.12", "Handler": "index.handler", "Role": role,
                      "Code": {"ZipFile": zip}});
    let scope =
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0";
    let request = Request::post("/2015-03-31/functions").header("authorization", scope);
    let request = request.header("content-type", "application/json").body(body.to_string().into());
    let made = Remote::new(Servers::from_env().aws()).try_send(request.expect("a request")).await.expect("an answer");
    assert_eq!(made.code(), 201, "{}", made.text());
    name
}

async fn invoke(function: &str, payload: &Value) -> Result<Answer, InvokeError> {
    let settings = settings();
    let invocation = Invocation {
        function,
        qualifier: None,
        payload: payload.to_string().into(),
        client_context: &BASE64_STANDARD.encode(r#"{"custom":{}}"#),
        limit: Duration::from_mins(1),
    };
    let now = halyard_domain::Clock::now(&halyard_domain::SystemClock);
    Lambda::new(&settings, &settings.sdk_config(), None).invoke(invocation, now.into()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_answers_fails_or_is_not_there() {
    let name = function().await;
    let payload = json!({"name": "Ada", "list": [1, null]});
    let answer = invoke(&name, &payload).await.expect("an answer");
    let said: Value = serde_json::from_slice(&answer.payload).expect("JSON");
    assert_eq!((answer.failed, &said["seen"], &said["big"]), (false, &payload, &json!(12_345_678_901_234_567_890_u64)));

    let answer = invoke(&name, &json!({"fail": true})).await.expect("an answer");
    let said: Value = serde_json::from_slice(&answer.payload).expect("JSON");
    // AWS's runtime of Python gives the exception's class as `errorType`; the emulator calls them all `Runtime.HandlerError`.
    assert!(answer.failed && said["errorType"].is_string(), "{said}");
    assert_eq!(said["errorMessage"], "no customer 7");

    match invoke(&unique("nobody"), &payload).await {
        Err(InvokeError::Refused { status: 404, code, .. }) => assert_eq!(code, "ResourceNotFoundException"),
        other => panic!("{other:?}"),
    }
}
