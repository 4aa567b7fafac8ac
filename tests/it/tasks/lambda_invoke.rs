//! Tasks that invoke a Lambda function, over a real socket: a receiver that speaks Lambda's API.

use halyard_tests::{Actor, Receiver, Reply, TestApp};
use serde_json::{Value, json};

/// An application that may invoke `report-*` and `greet`, with `greet:live`, of what answers in Lambda's place.
async fn app(lambda: &Receiver) -> TestApp {
    TestApp::builder()
        .var("TASK_FUNCTIONS", "arn:aws:lambda:eu-central-1:000000000000:function:report-*, greet, greet:live")
        .var("AWS_ENDPOINT_URL_LAMBDA", &lambda.url(""))
        .spawn()
        .await
}

async fn invoked(app: &TestApp, user: &Actor, data: &Value, retries: i32) -> Value {
    let retry = json!({"max_retries": retries, "retry_delay": 1, "exponential_backoff": false});
    let id = user.submit(json!({"task_type": "lambda_invoke", "data": data, "retry_config": retry})).await;
    app.drain_with_time().await;
    user.task(&id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_function_answers_is_the_tasks_result() {
    let lambda = Receiver::start();
    let app = app(&lambda).await;
    let user = app.user().await;
    let answer = r#"{"greeting":"hello","big":12345678901234567890.5}"#;
    lambda.reply(Reply::status(200).header("x-amz-executed-version", "7").body(answer));
    let data = json!({"function": "greet", "qualifier": "live", "payload": {"name": "Ada", "list": [1, null]}});
    let task = invoked(&app, &user, &data, 0).await;
    assert_eq!((&task["status"], &task["result"]["greeting"]), (&json!("completed"), &json!("hello")), "{task}");
    let [heard] = &lambda.take()[..] else { panic!("one request") };
    assert_eq!(heard.path, "/2015-03-31/functions/greet/invocations?Qualifier=live");
    assert_eq!(heard.json(), data["payload"]);
    assert_eq!(heard.headers["x-amz-invocation-type"], "RequestResponse");
    let signed = &heard.headers["authorization"];
    assert!(signed.starts_with("AWS4-HMAC-SHA256 ") && signed.contains("/lambda/aws4_request"), "{signed}");
    let context = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, &heard.headers["x-amz-client-context"]);
    let context: Value = serde_json::from_slice(&context.expect("base64")).expect("JSON");
    assert_eq!(context["custom"], json!({"task_id": task["task_id"], "attempt": 1}));

    // Nothing is an answer as well, and what a step before returned is a payload.
    lambda.reply(Reply::status(200).body("null"));
    let task = invoked(&app, &user, &json!({"function": "report-2026", "input": [7]}), 0).await;
    assert_eq!((&task["status"], &task["result"]), (&json!("completed"), &Value::Null), "{task}");
    assert_eq!(lambda.take()[0].json(), json!([7]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_fails_is_tried_again_by_the_tasks_own_policy() {
    let lambda = Receiver::start();
    let app = app(&lambda).await;
    let user = app.user().await;
    let failure = r#"{"errorMessage":"no such customer","errorType":"KeyError","stackTrace":["secret path"]}"#;
    lambda.otherwise(Reply::status(200).header("x-amz-function-error", "Unhandled").body(failure));
    let task = invoked(&app, &user, &json!({"function": "greet"}), 2).await;
    assert_eq!(task["status"], "failed", "{task}");
    assert_eq!(task["error"]["code"], "function_failed");
    assert!(
        task["error"]["message"].as_str().is_some_and(|text| text.contains("KeyError: no such customer")),
        "{task}"
    );
    assert!(!task.to_string().contains("secret path"), "{task}");
    assert_eq!(lambda.take().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again_when_lambda_says_and_what_may_not_is_not() {
    let lambda = Receiver::start();
    let app = app(&lambda).await;
    let user = app.user().await;
    let throttled = Reply::status(429).header("x-amzn-errortype", "TooManyRequestsException:http://x/").body("{}");
    lambda.reply(throttled.header("retry-after", "120"));
    lambda.reply(Reply::status(502).header("x-amzn-errortype", "EC2ThrottledException"));
    let began = app.now();
    let task = invoked(&app, &user, &json!({"function": "greet"}), 3).await;
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(lambda.take().len(), 3);
    assert!(app.now() - began >= chrono::TimeDelta::seconds(120), "it waited as long as it was told to");
    let history = task["history"].to_string();
    assert!(history.contains("throttled: Lambda answered 429 TooManyRequestsException"), "{history}");
    assert!(history.contains("unavailable: Lambda answered 502"), "{history}");

    for (status, kind, code) in [
        (404, "ResourceNotFoundException", "no_such_function"),
        (403, "AccessDeniedException", "refused"),
        (413, "RequestTooLargeException", "refused"),
    ] {
        lambda.reply(Reply::status(status).header("x-amzn-errortype", kind).body(r#"{"Message":"no"}"#));
        let task = invoked(&app, &user, &json!({"function": "greet"}), 3).await;
        assert_eq!((&task["status"], &task["error"]["code"]), (&json!("failed"), &json!(code)), "{task}");
        assert_eq!(lambda.take().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_functions_that_the_operator_allows_are_invoked() {
    let lambda = Receiver::start();
    let refused = async |user: &Actor, function: &str, qualifier: Option<&str>| {
        let data = json!({"function": function, "qualifier": qualifier});
        let answer = user.post("/tasks/submit", json!({"task_type": "lambda_invoke", "data": data})).await;
        let error = answer.expect_problem(422, "validation_failed").json()["errors"][0].clone();
        (
            error["pointer"].as_str().unwrap_or_default().to_owned(),
            error["code"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let some = app(&lambda).await;
    let user = some.user().await;
    let not_allowed = ("/data/function".to_owned(), "function_not_allowed".to_owned());
    for (function, qualifier) in [("billing", None), ("report", None), ("greet2", None), ("greet", Some("7"))] {
        assert_eq!(refused(&user, function, qualifier).await, not_allowed, "{function}");
    }
    let malformed = ("/data/function".to_owned(), "invalid_format".to_owned());
    for function in ["", "../greet", "greet:live", "arn:aws:lambda:eu-central-1:1:function:greet", "greet?x=1"] {
        assert_eq!(refused(&user, function, None).await, malformed, "{function}");
    }
    let malformed = ("/data/qualifier".to_owned(), "invalid_format".to_owned());
    assert_eq!(refused(&user, "greet", Some("live&x=1")).await, malformed);

    let none = TestApp::builder().var("AWS_ENDPOINT_URL_LAMBDA", &lambda.url("")).spawn().await;
    assert_eq!(refused(&none.user().await, "greet", None).await, not_allowed);

    // What was accepted while the list was longer.
    let id = user.submit(json!({"task_type": "lambda_invoke", "data": {"function": "greet"}})).await;
    some.change_task(&id, "input = '{\"function\": \"billing\"}'").await;
    some.drain().await;
    let task = user.task(&id).await;
    assert_eq!((&task["status"], &task["error"]["code"]), (&json!("failed"), &json!("function_not_allowed")), "{task}");
    assert!(lambda.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_says_nothing_holds_a_task_no_longer_than_its_timeout_or_a_cancellation() {
    let lambda = Receiver::start();
    let app = app(&lambda).await;
    let user = app.user().await;
    lambda.otherwise(Reply::silence());
    let body = json!({"task_type": "lambda_invoke", "data": {"function": "greet"}, "timeout": 1,
                      "retry_config": {"max_retries": 0}});
    let id = user.submit(body).await;
    app.drain().await;
    let task = user.task(&id).await;
    assert_eq!((&task["status"], &task["error"]["code"]), (&json!("failed"), &json!("unavailable")), "{task}");

    let id = user.submit(json!({"task_type": "lambda_invoke", "data": {"function": "greet"}})).await;
    let cancel = async {
        app.until_state(&user, &id, "running", std::time::Duration::from_secs(20)).await;
        user.post(&format!("/tasks/cancel/{id}"), json!({})).await.expect(200);
    };
    tokio::join!(app.drain(), cancel);
    assert_eq!(user.state_of(&id).await, "cancelled");
}
