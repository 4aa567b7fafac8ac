//! A stack is updated under its callers' hands, and deleted.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use halyard_tests::{
    Target,
    stack::{EmulatedStack, Resource},
};
use http::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn an_update_moves_the_alias_while_the_api_keeps_answering() {
    let (mut stack, target) = EmulatedStack::up("update").await;
    let user = target.user("before").await;
    let (status, auth) = (stack.live("StatusFunction").await, stack.live("AuthFunction").await);
    assert_eq!(status.1["Environment"]["Variables"]["LOG_LEVEL"], "info");

    stack.change_code("halyard-fn-status");
    let caller = Caller::start(stack.output("ApiId").await, target);
    let updated = stack.deploy(&[("LogLevel", "debug")]).await;
    let answers = caller.stop().await;
    let target = updated.target();

    assert!(answers.len() > 1, "it was asked all the while");
    assert!(answers.iter().all(|code| *code == 200), "{answers:?}");
    let (new_status, new_auth) = (stack.live("StatusFunction").await, stack.live("AuthFunction").await);
    assert!(new_status.0 > status.0 && new_auth.0 > auth.0, "both aliases have moved");
    assert_ne!(new_status.1["CodeSha256"], status.1["CodeSha256"], "the code that was changed");
    assert_eq!(new_auth.1["CodeSha256"], auth.1["CodeSha256"], "and no other");
    for (_, live) in [&new_status, &new_auth] {
        assert_eq!(live["Environment"]["Variables"]["LOG_LEVEL"], "debug");
    }
    // Who was signed in before still is: tables, keys and the database were left alone.
    target
        .anonymous()
        .with_token(user.access_token.as_deref().expect("a token"))
        .get("/api/protected")
        .await
        .expect(200);

    let again = stack.deploy(&[("LogLevel", "debug")]).await;
    assert!(again.succeeded, "{}", again.said);
    assert_eq!(stack.live("StatusFunction").await.0, new_status.0, "nothing changed, nothing is published");

    // A secret has another value, say: nothing that is deployed has changed, and all environments have to start anew.
    let restarted = stack.deploy_with(&[("LogLevel", "debug")], &[("RESTART", "1")]).await;
    assert!(restarted.succeeded, "{}", restarted.said);
    for (function, before) in [("StatusFunction", new_status.0), ("AuthFunction", new_auth.0)] {
        assert!(stack.live(function).await.0 > before, "{function} has a new version");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_stack_leaves_its_tables_and_buckets_and_nothing_else() {
    let (stack, target) = EmulatedStack::up("delete").await;
    target.user("gone").await;
    let api = stack.output("ApiId").await;
    let resources = stack.resources().await;
    for resource in &resources {
        assert_eq!(there(&stack, resource).await, checked(resource).then_some(true), "{resource:?}");
    }
    stack.delete().await;
    for resource in &resources {
        let retained = ["AWS::DynamoDB::Table", "AWS::S3::Bucket"].contains(&resource.kind.as_str());
        assert_eq!(there(&stack, resource).await, checked(resource).then_some(retained), "{resource:?}");
        match resource.kind.as_str() {
            "AWS::DynamoDB::Table" => {
                let table = json!({ "TableName": resource.physical });
                stack.emulator.json("dynamodb", "DynamoDB_20120810", "DeleteTable", &table).await;
            }
            "AWS::S3::Bucket" => {
                stack.emulator.bucket(Method::DELETE, &resource.physical).await.expect(204);
            }
            _ => {}
        }
    }
    assert_ne!(target.anonymous().get("/health/ping").await.code(), 200, "no API {api} answers any more");
    let sources = stack.emulator.lambda("event-source-mappings/").await.expect(200).text();
    assert!(!sources.contains(&format!("{}-", stack.name)), "{sources}");
}

/// The kinds of resources that the test looks for one by one.
fn checked(resource: &Resource) -> bool {
    let kinds = [
        "AWS::S3::Bucket",
        "AWS::Lambda::Function",
        "AWS::SQS::Queue",
        "AWS::DynamoDB::Table",
        "AWS::Events::Rule",
        "AWS::IAM::Role",
        "AWS::Logs::LogGroup",
    ];
    kinds.contains(&resource.kind.as_str())
}

/// Does a resource exist? `None` for kinds that are not looked for.
async fn there(stack: &EmulatedStack, resource: &Resource) -> Option<bool> {
    let (emulator, name) = (&stack.emulator, resource.physical.as_str());
    let answer = match resource.kind.as_str() {
        "AWS::Lambda::Function" => emulator.lambda(&format!("functions/{name}")).await,
        "AWS::SQS::Queue" => {
            let attributes = json!({"QueueUrl": name, "AttributeNames": ["QueueArn"]});
            emulator.try_json("sqs", "AmazonSQS", "GetQueueAttributes", &attributes).await
        }
        "AWS::DynamoDB::Table" => {
            let table = json!({ "TableName": name });
            emulator.try_json("dynamodb", "DynamoDB_20120810", "DescribeTable", &table).await
        }
        "AWS::S3::Bucket" => emulator.bucket(Method::HEAD, name).await,
        "AWS::Events::Rule" => emulator.try_json("events", "AWSEvents", "DescribeRule", &json!({ "Name": name })).await,
        "AWS::IAM::Role" => emulator.query("iam", "2010-05-08", "GetRole", &[("RoleName", name)]).await,
        "AWS::Logs::LogGroup" => {
            let prefix = json!({ "logGroupNamePrefix": name });
            let found = emulator.json("logs", "Logs_20140328", "DescribeLogGroups", &prefix).await;
            let groups = found["logGroups"].as_array().into_iter().flatten();
            return Some(groups.filter(|g| g["logGroupName"] == name).count() == 1);
        }
        _ => return None,
    };
    Some(answer.code() == 200)
}

/// Asks for the API's health, one request after another, until it is told to stop.
struct Caller {
    stop: Arc<AtomicBool>,
    asking: tokio::task::JoinHandle<Vec<u16>>,
}

impl Caller {
    fn start(api: String, target: Target) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let asking = tokio::spawn(async move {
            let mut answers = Vec::new();
            let anonymous = target.anonymous();
            while !told.load(Ordering::SeqCst) {
                let answer = anonymous.get("/health/ping").await;
                if answer.code() != 200 {
                    eprintln!("the API {api} answered {}: {}", answer.code(), answer.text());
                }
                answers.push(answer.code());
            }
            answers
        });
        Self { stop, asking }
    }

    async fn stop(self) -> Vec<u16> {
        self.stop.store(true, Ordering::SeqCst);
        self.asking.await.expect("the caller ends")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stack_says_of_itself_holds_no_secret() {
    let stack = halyard_tests::environment::variable("TEST_STACK").expect("run these tests with `make test-emulated`");
    let emulator = halyard_tests::emulator::Emulator::of_this_run();
    let functions = emulator.lambda("functions/").await.expect(200).json();
    let functions: Vec<&Value> = functions["Functions"].as_array().into_iter().flatten().collect();
    let ours =
        functions.iter().filter(|f| f["FunctionName"].as_str().is_some_and(|n| n.starts_with(&format!("{stack}-"))));
    let mut references = 0;
    for function in ours {
        let variables = function["Environment"]["Variables"].as_object().expect("variables");
        for (name, value) in variables {
            let secret = ["PASSWORD", "SIGNING_KEY"].iter().any(|end| name.ends_with(end));
            if secret {
                let value = value.as_str().unwrap_or_default();
                assert!(value.starts_with("secretsmanager:"), "{name} of {}", function["FunctionName"]);
                references += 1;
            }
        }
    }
    assert!(references > 0, "some functions read secrets");
}
