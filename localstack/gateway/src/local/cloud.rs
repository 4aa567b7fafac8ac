//! The template's queues and tables on an endpoint that has none yet: an emulator's, for functions that run outside
//! this process. What is there already stays as it is.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
};
use aws_sdk_sqs::{error::DisplayErrorContext, types::QueueAttributeName};
use halyard_cloud::aws::{AwsCredentials, AwsSettings};

use super::{cli::CloudInitArgs, console, error::LocalError, places};
use crate::template::{Inputs, QueueSpec, Stack, TableSpec, Template};

/// `cloud-init`.
///
/// # Errors
/// When the template is wrong or the endpoint refuses.
pub async fn init(args: &CloudInitArgs) -> Result<(), LocalError> {
    let path = args.template.clone().map_or_else(|| places::find("infra/template.yaml"), Ok)?;
    let inputs = Inputs { queue_endpoint: args.endpoint.clone(), ..Inputs::default() };
    let stack = Template::load(&path).and_then(|template| template.resolve(&inputs));
    let stack = stack.map_err(|e| LocalError::Gateway(e.to_string()))?;
    make(&stack, &args.endpoint).await?;
    console::say(&format!("{} queues and {} tables are at {}", stack.queues.len(), stack.tables.len(), args.endpoint));
    Ok(())
}

/// Makes what a stack needs. Dead-letter queues come first: the others name them.
///
/// # Errors
/// With what the endpoint said.
pub async fn make(stack: &Stack, endpoint: &str) -> Result<(), LocalError> {
    let config = settings(stack, endpoint).sdk_config();
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
    Ok(())
}

/// What an emulator takes for credentials.
pub fn settings(stack: &Stack, endpoint: &str) -> AwsSettings {
    let test = || "test".to_owned();
    let credentials = AwsCredentials { access_key_id: test(), secret_access_key: test(), session_token: None };
    AwsSettings { region: stack.region.clone(), endpoint: Some(endpoint.to_owned()), credentials: Some(credentials) }
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
    made.map(drop).map_err(|e| refused(&queue.name, &DisplayErrorContext(e)))
}

async fn make_table(client: &aws_sdk_dynamodb::Client, table: &TableSpec) -> Result<(), LocalError> {
    let keys = [(Some(&table.partition_key), KeyType::Hash), (table.sort_key.as_ref(), KeyType::Range)];
    let mut request = client.create_table().table_name(&table.name).billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in keys.into_iter().filter_map(|(name, kind)| Some((name?, kind))) {
        let text = ScalarAttributeType::S;
        let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(text).build();
        let key = KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        request = request
            .attribute_definitions(attribute.map_err(|e| refused(&table.name, &e))?)
            .key_schema(key.map_err(|e| refused(&table.name, &e))?);
    }
    if let Err(error) = request.send().await {
        let error = error.into_service_error();
        return if error.is_resource_in_use_exception() { Ok(()) } else { Err(refused(&table.name, &error)) };
    }
    let Some(attribute) = &table.ttl_attribute else { return Ok(()) };
    let ttl = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true).build();
    let ttl = ttl.map_err(|e| refused(&table.name, &e))?;
    let set = client.update_time_to_live().table_name(&table.name).time_to_live_specification(ttl).send().await;
    set.map(drop).map_err(|e| refused(&table.name, &DisplayErrorContext(e)))
}

fn refused(name: &str, error: &dyn std::fmt::Display) -> LocalError {
    LocalError::Gateway(format!("{name} could not be made: {error}"))
}
