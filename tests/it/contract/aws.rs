//! The real services: fresh queues and tables for each test.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};
use aws_sdk_sqs::types::QueueAttributeName;
use halyard_cloud::{
    aws::{AwsCredentials, AwsSettings},
    queue::{QueueName, SqsQueue},
    table::TableName,
};
use halyard_domain::{Clock as _, Entropy, SystemClock};
use halyard_tests::{environment::Servers, wait};

use super::queue::{MAX_RECEIVES, PATIENCE};

/// Settings for the endpoint of the test run.
///
/// # Panics
/// With one sentence, when there is none.
pub fn settings() -> AwsSettings {
    settings_for(Some(Servers::from_env().aws().to_owned()))
}

/// Settings for any endpoint, with credentials that an emulator takes.
pub fn settings_for(endpoint: Option<String>) -> AwsSettings {
    let credentials =
        AwsCredentials { access_key_id: "test".to_owned(), secret_access_key: "test".to_owned(), session_token: None };
    AwsSettings { region: "us-east-1".to_owned(), endpoint, credentials: Some(credentials) }
}

/// A name that no other test run uses.
pub fn unique(purpose: &str) -> String {
    let entropy = Entropy::from_os().expect("the system has randomness");
    format!("{purpose}-{}", entropy.ulid(SystemClock.now()))
}

/// A queue whose messages go to a dead-letter queue after [`MAX_RECEIVES`], and that dead-letter queue.
pub async fn queues(visibility_seconds: u32) -> (SqsQueue, QueueName, QueueName) {
    let config = settings().sdk_config();
    let client = aws_sdk_sqs::Client::new(&config);
    let dead = client.create_queue().queue_name(unique("dead")).send().await.expect("a dead-letter queue");
    let dead_url = dead.queue_url().expect("its URL").to_owned();
    let arn = client.get_queue_attributes().queue_url(&dead_url).attribute_names(QueueAttributeName::QueueArn);
    let arn =
        arn.send().await.expect("its attributes").attributes.and_then(|mut a| a.remove(&QueueAttributeName::QueueArn));
    let policy = serde_json::json!({ "deadLetterTargetArn": arn, "maxReceiveCount": MAX_RECEIVES });
    let main = client
        .create_queue()
        .queue_name(unique("main"))
        .attributes(QueueAttributeName::VisibilityTimeout, visibility_seconds.to_string())
        .attributes(QueueAttributeName::RedrivePolicy, policy.to_string())
        .send()
        .await
        .expect("a queue");
    let main_url = main.queue_url().expect("its URL").to_owned();
    let names = (QueueName::from_url(&main_url), QueueName::from_url(&dead_url));
    (SqsQueue::with_urls(&config, [main_url, dead_url]), names.0, names.1)
}

/// A table with the key schema and the TTL attribute of `infra/template.yaml`.
pub async fn table() -> TableName {
    let client = aws_sdk_dynamodb::Client::new(&settings().sdk_config());
    let name = unique("table");
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let text =
        |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
    client
        .create_table()
        .table_name(&name)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key("pk", KeyType::Hash).expect("a key"))
        .key_schema(key("sk", KeyType::Range).expect("a key"))
        .attribute_definitions(text("pk").expect("an attribute"))
        .attribute_definitions(text("sk").expect("an attribute"))
        .send()
        .await
        .expect("a table");
    wait::until("the table to be active", PATIENCE, || async {
        let answer = client.describe_table().table_name(&name).send().await.ok()?;
        (answer.table?.table_status? == TableStatus::Active).then_some(())
    })
    .await;
    TableName(name)
}
