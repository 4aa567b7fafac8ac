//! The template's queues, tables and buckets, and the sender of mail, on an endpoint that has none yet: an emulator's, for functions
//! that run outside this process. What is there already stays as it is.

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata as _,
    operation::create_table::CreateTableError,
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
        TimeToLiveStatus,
    },
};
use aws_sdk_sesv2::operation::create_email_identity::CreateEmailIdentityError;
use aws_sdk_sqs::{
    error::{DisplayErrorContext, SdkError},
    types::QueueAttributeName,
};
use halyard_cloud::{
    aws::{AwsCredentials, AwsSettings},
    objects::{BucketName, ObjectError, S3Objects},
};

use super::error::LocalError;
use crate::template::{EnvValue, Inputs, QueueSpec, Stack, TableSpec};

/// Makes what a stack needs; buckets at `s3`, if that is elsewhere. Dead-letter queues come first: the others name them.
///
/// # Errors
/// With what the endpoint said.
pub async fn make(stack: &Stack, aws: &AwsSettings, s3: Option<&str>, sender: Option<&str>) -> Result<(), LocalError> {
    let config = aws.sdk_config();
    let queues = aws_sdk_sqs::Client::new(&config);
    for queue in stack.queues.values().filter(|q| q.redrive.is_none()) {
        make_queue(&queues, queue, None).await?;
    }
    for queue in stack.queues.values() {
        if let Some(redrive) = &queue.redrive {
            let target = stack.queues.get(&redrive.queue).map(|dead| dead.arn.as_str());
            let policy =
                serde_json::json!({"deadLetterTargetArn": target, "maxReceiveCount": redrive.max_receive_count});
            make_queue(&queues, queue, Some(policy.to_string())).await?;
        }
    }
    let tables = aws_sdk_dynamodb::Client::new(&config);
    for table in stack.tables.values() {
        make_table(&tables, table).await?;
    }
    let objects = S3Objects::new(aws, &config, s3, None);
    for bucket in stack.buckets.values() {
        let made = objects.make_bucket(&BucketName(bucket.name.clone()), bucket.keep_days).await;
        made.map_err(|error| no_bucket(&bucket.name, &error))?;
    }
    match sender {
        Some(sender) => make_sender(&aws_sdk_sesv2::Client::new(&config), sender).await,
        None => Ok(()),
    }
}

/// Whom mail comes from, as the functions of a stack know it.
pub fn sender(stack: &Stack) -> Option<&str> {
    stack.functions.values().find_map(|function| match function.environment.get("MAIL_FROM") {
        Some(EnvValue::Known(sender)) if !sender.is_empty() => Some(sender.as_str()),
        _ => None,
    })
}

/// An emulator believes at once that an address is ours.
async fn make_sender(client: &aws_sdk_sesv2::Client, sender: &str) -> Result<(), LocalError> {
    match client.create_email_identity().email_identity(sender).send().await {
        Ok(_) => Ok(()),
        Err(error) if error.as_service_error().is_some_and(CreateEmailIdentityError::is_already_exists_exception) => {
            Ok(())
        }
        Err(error) => Err(refused(sender, error)),
    }
}

/// An emulator: it takes anything for credentials.
pub fn emulator(endpoint: &str) -> AwsSettings {
    let test = || "test".to_owned();
    let credentials = AwsCredentials { access_key_id: test(), secret_access_key: test(), session_token: None };
    let region = Inputs::default().region;
    AwsSettings { region, endpoint: Some(endpoint.to_owned()), credentials: Some(credentials) }
}

async fn make_queue(
    client: &aws_sdk_sqs::Client,
    queue: &QueueSpec,
    redrive: Option<String>,
) -> Result<(), LocalError> {
    let seconds = |d: std::time::Duration| d.as_secs().to_string();
    let request = client
        .create_queue()
        .queue_name(&queue.name)
        .attributes(QueueAttributeName::VisibilityTimeout, seconds(queue.visibility))
        .attributes(QueueAttributeName::MessageRetentionPeriod, seconds(queue.retention))
        .attributes(QueueAttributeName::DelaySeconds, seconds(queue.delay));
    let request = match redrive {
        Some(policy) => request.attributes(QueueAttributeName::RedrivePolicy, policy),
        None => request,
    };
    let made = request.send().await;
    made.map(drop).map_err(|e| refused(&queue.name, e))
}

async fn make_table(client: &aws_sdk_dynamodb::Client, table: &TableSpec) -> Result<(), LocalError> {
    let keys = [(Some(&table.partition_key), KeyType::Hash), (table.sort_key.as_ref(), KeyType::Range)];
    let mut request = client.create_table().table_name(&table.name).billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in keys.into_iter().filter_map(|(name, kind)| Some((name?, kind))) {
        let text = ScalarAttributeType::S;
        let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(text).build();
        let key = KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        request = request
            .attribute_definitions(attribute.map_err(|e| impossible(&table.name, &e))?)
            .key_schema(key.map_err(|e| impossible(&table.name, &e))?);
    }
    if let Err(error) = request.send().await
        && !error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception)
    {
        return Err(refused(&table.name, error));
    }
    match &table.ttl_attribute {
        Some(attribute) => make_ttl(client, &table.name, attribute).await,
        None => Ok(()),
    }
}

/// Apart from the table: whoever made it may have been killed before this.
async fn make_ttl(client: &aws_sdk_dynamodb::Client, table: &str, attribute: &str) -> Result<(), LocalError> {
    let found = client.describe_time_to_live().table_name(table).send().await;
    let found = found.map_err(|e| refused(table, e))?;
    let status = found.time_to_live_description.and_then(|ttl| ttl.time_to_live_status);
    if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        return Ok(());
    }
    let ttl = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true).build();
    let ttl = ttl.map_err(|e| impossible(table, &e))?;
    match client.update_time_to_live().table_name(table).time_to_live_specification(ttl).send().await {
        Ok(_) => Ok(()),
        // Somebody else was quicker.
        Err(error) if error.message().is_some_and(|m| m.contains("already enabled")) => Ok(()),
        Err(error) => Err(refused(table, error)),
    }
}

/// What an endpoint answered to a call, or that it did not.
fn refused<E>(name: &str, error: SdkError<E>) -> LocalError
where
    E: std::error::Error + 'static,
{
    let said = match &error {
        SdkError::ServiceError(answer) => !answer.raw().status().is_server_error(),
        SdkError::ConstructionFailure(_) => true,
        _ => false,
    };
    let why = format!("{name} could not be made: {}", DisplayErrorContext(error));
    if said { LocalError::Gateway(why) } else { LocalError::Away(why) }
}

fn no_bucket(name: &str, error: &ObjectError) -> LocalError {
    let why = format!("{name} could not be made: {error}");
    if error.is_unavailable() { LocalError::Away(why) } else { LocalError::Gateway(why) }
}

fn impossible(name: &str, error: &dyn std::fmt::Display) -> LocalError {
    LocalError::Gateway(format!("{name} cannot be made: {error}"))
}
