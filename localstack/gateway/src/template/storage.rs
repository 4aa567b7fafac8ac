//! `AWS::SQS::Queue` and `AWS::DynamoDB::Table`.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, de::IgnoredAny};

use super::{
    error::TemplateError,
    lenient,
    model::{QueueSpec, Redrive, TableSpec},
    stack::{Reader, find},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Queue {
    #[serde(default, deserialize_with = "lenient::optional")]
    visibility_timeout: Option<u64>,
    #[serde(default, deserialize_with = "lenient::optional")]
    delay_seconds: Option<u64>,
    #[serde(default, deserialize_with = "lenient::optional")]
    message_retention_period: Option<u64>,
    #[serde(default, deserialize_with = "lenient::optional")]
    receive_message_wait_time_seconds: Option<u64>,
    redrive_policy: Option<RedrivePolicy>,
    #[serde(default, deserialize_with = "lenient::optional", rename = "FifoQueue")]
    fifo: Option<bool>,
    #[serde(rename = "QueueName")]
    _name: Option<IgnoredAny>,
    #[serde(rename = "RedriveAllowPolicy")]
    _redrive_allow_policy: Option<IgnoredAny>,
    #[serde(rename = "MaximumMessageSize")]
    _maximum_message_size: Option<IgnoredAny>,
    #[serde(rename = "SqsManagedSseEnabled")]
    _encryption: Option<IgnoredAny>,
    #[serde(rename = "KmsMasterKeyId")]
    _key: Option<IgnoredAny>,
    #[serde(rename = "KmsDataKeyReusePeriodSeconds")]
    _key_reuse: Option<IgnoredAny>,
    #[serde(rename = "Tags")]
    _tags: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RedrivePolicy {
    #[serde(rename = "deadLetterTargetArn")]
    target: String,
    #[serde(rename = "maxReceiveCount", deserialize_with = "lenient::scalar")]
    max_receive_count: u32,
}

pub(super) fn queues(reader: &Reader<'_>) -> Result<BTreeMap<String, QueueSpec>, TemplateError> {
    let mut queues = BTreeMap::new();
    let mut redrives = Vec::new();
    for id in reader.of_kind("AWS::SQS::Queue") {
        let queue: Queue = reader.properties(id)?;
        if queue.fifo == Some(true) {
            return Err(TemplateError::resource(id, "FifoQueue", "only standard queues are played here"));
        }
        if let Some(policy) = queue.redrive_policy {
            redrives.push((id, policy));
        }
        let name = reader.name(id)?;
        let seconds = |given: Option<u64>, default| Duration::from_secs(given.unwrap_or(default));
        queues.insert(
            id.to_owned(),
            QueueSpec {
                id: id.to_owned(),
                arn: reader.resolver.arn("sqs", &name),
                name,
                visibility: seconds(queue.visibility_timeout, 30),
                delay: seconds(queue.delay_seconds, 0),
                retention: seconds(queue.message_retention_period, 345_600),
                receive_wait: seconds(queue.receive_message_wait_time_seconds, 0),
                redrive: None,
            },
        );
    }
    for (id, policy) in redrives {
        let property = "RedrivePolicy.deadLetterTargetArn";
        let target = find(&queues, "queue", (id, property), |q| q.arn == policy.target, &policy.target)?.id.clone();
        if let Some(queue) = queues.get_mut(id) {
            queue.redrive = Some(Redrive { queue: target, max_receive_count: policy.max_receive_count });
        }
    }
    Ok(queues)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Table {
    key_schema: Vec<Key>,
    time_to_live_specification: Option<TimeToLive>,
    #[serde(rename = "TableName")]
    _name: Option<IgnoredAny>,
    #[serde(rename = "AttributeDefinitions")]
    _attributes: IgnoredAny,
    #[serde(rename = "BillingMode")]
    _billing: Option<IgnoredAny>,
    #[serde(rename = "ProvisionedThroughput")]
    _throughput: Option<IgnoredAny>,
    #[serde(rename = "OnDemandThroughput")]
    _on_demand: Option<IgnoredAny>,
    #[serde(rename = "PointInTimeRecoverySpecification")]
    _recovery: Option<IgnoredAny>,
    #[serde(rename = "SSESpecification")]
    _encryption: Option<IgnoredAny>,
    #[serde(rename = "DeletionProtectionEnabled")]
    _protection: Option<IgnoredAny>,
    #[serde(rename = "TableClass")]
    _class: Option<IgnoredAny>,
    #[serde(rename = "Tags")]
    _tags: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Key {
    attribute_name: String,
    key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TimeToLive {
    attribute_name: String,
    #[serde(deserialize_with = "lenient::scalar")]
    enabled: bool,
}

pub(super) fn tables(reader: &Reader<'_>) -> Result<BTreeMap<String, TableSpec>, TemplateError> {
    let mut tables = BTreeMap::new();
    for id in reader.of_kind("AWS::DynamoDB::Table") {
        let table: Table = reader.properties(id)?;
        let key = |kind: &str| table.key_schema.iter().find(|k| k.key_type == kind).map(|k| k.attribute_name.clone());
        let spec = TableSpec {
            id: id.to_owned(),
            name: reader.name(id)?,
            partition_key: key("HASH").ok_or_else(|| TemplateError::resource(id, "KeySchema", "has no HASH key"))?,
            sort_key: key("RANGE"),
            ttl_attribute: table.time_to_live_specification.filter(|t| t.enabled).map(|t| t.attribute_name),
        };
        tables.insert(id.to_owned(), spec);
    }
    Ok(tables)
}
