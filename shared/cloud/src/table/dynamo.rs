//! The adapter over DynamoDB.

use std::{collections::HashMap, fmt, time::Duration};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{AttributeValue, PutRequest, WriteRequest},
};
use serde_json::{Map, Value};

use super::{Condition, Item, Page, Table, TableError, TableName, limits};
use crate::{
    aws::{self, Fault},
    round_trips,
};

/// Items in one `BatchWriteItem`.
const BATCH: usize = 25;
/// How often what `BatchWriteItem` left over is sent again.
const LEFTOVER_ROUNDS: u32 = 6;

type Attributes = HashMap<String, AttributeValue>;

/// `DynamoDB`, or an emulator of it.
#[derive(Clone)]
pub struct DynamoTable {
    client: Client,
}

impl fmt::Debug for DynamoTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoTable").finish_non_exhaustive()
    }
}

impl DynamoTable {
    /// An adapter with a client of its own.
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// Writes one batch, and again what the service left over, with growing pauses.
    async fn write_batch(&self, table: &TableName, batch: Vec<WriteRequest>) -> Result<(), TableError> {
        let mut rest = HashMap::from([(table.0.clone(), batch)]);
        for round in 0..LEFTOVER_ROUNDS {
            if round > 0 {
                tokio::time::sleep(Duration::from_millis(25 << round)).await;
            }
            round_trips::TABLE.add(1);
            let request = self.client.batch_write_item().set_request_items(Some(rest));
            let answer = request.send().await.map_err(|e| error(&e))?;
            rest = answer.unprocessed_items.unwrap_or_default();
            rest.retain(|_, left| !left.is_empty());
            if rest.is_empty() {
                return Ok(());
            }
        }
        Err(TableError::Unavailable("the service keeps leaving items of a batch over".to_owned()))
    }
}

#[async_trait]
impl Table for DynamoTable {
    async fn get(&self, table: &TableName, pk: &str, sk: &str) -> Result<Option<Item>, TableError> {
        limits::check_key(pk, sk)?;
        round_trips::TABLE.add(1);
        let request = self.client.get_item().table_name(&table.0).consistent_read(true).set_key(Some(key(pk, sk)));
        let answer = request.send().await.map_err(|e| error(&e))?;
        answer.item.map(from_attributes).transpose()
    }

    async fn put(&self, table: &TableName, item: Item, condition: Condition) -> Result<(), TableError> {
        limits::check_item(&item)?;
        round_trips::TABLE.add(1);
        let (expression, names, values) = expression(condition);
        let request = self.client.put_item().table_name(&table.0).set_item(Some(to_attributes(item)?));
        let request = request
            .set_condition_expression(expression)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values);
        request.send().await.map(drop).map_err(|e| error(&e))
    }

    async fn put_all(&self, table: &TableName, items: Vec<Item>) -> Result<(), TableError> {
        let mut requests = Vec::with_capacity(items.len());
        // The service refuses a batch with the same key twice: the last one counts, as if written one by one.
        let mut places: HashMap<(String, String), usize> = HashMap::new();
        for item in items {
            limits::check_item(&item)?;
            let place = places.entry((item.pk.clone(), item.sk.clone())).or_insert(requests.len());
            let put = PutRequest::builder().set_item(Some(to_attributes(item)?)).build();
            let put = put.map_err(|e| TableError::Refused(e.to_string()))?;
            let request = WriteRequest::builder().put_request(put).build();
            match requests.get_mut(*place) {
                Some(earlier) => *earlier = request,
                None => requests.push(request),
            }
        }
        for batch in requests.chunks(BATCH) {
            self.write_batch(table, batch.to_vec()).await?;
        }
        Ok(())
    }

    async fn delete(&self, table: &TableName, pk: &str, sk: &str, condition: Condition) -> Result<(), TableError> {
        limits::check_key(pk, sk)?;
        round_trips::TABLE.add(1);
        let (expression, names, values) = expression(condition);
        let request = self.client.delete_item().table_name(&table.0).set_key(Some(key(pk, sk)));
        let request = request
            .set_condition_expression(expression)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values);
        request.send().await.map(drop).map_err(|e| error(&e))
    }

    async fn query(&self, table: &TableName, pk: &str, after: Option<&str>, limit: u32) -> Result<Page, TableError> {
        limits::check_query(pk, limit)?;
        let mut items = Vec::new();
        let mut start = None;
        // One more than asked for tells whether there are more; a page of the service ends at 1 MB.
        let wanted = limit as usize + 1;
        loop {
            round_trips::TABLE.add(1);
            let mut request = self
                .client
                .query()
                .table_name(&table.0)
                .consistent_read(true)
                .limit(i32::try_from(wanted - items.len()).unwrap_or(i32::MAX))
                .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
                .set_exclusive_start_key(start.take());
            request = match after.filter(|after| !after.is_empty()) {
                None => request.key_condition_expression("pk = :pk"),
                Some(after) => request
                    .key_condition_expression("pk = :pk AND sk > :after")
                    .expression_attribute_values(":after", AttributeValue::S(after.to_owned())),
            };
            let answer = request.send().await.map_err(|e| error(&e))?;
            for attributes in answer.items.unwrap_or_default() {
                items.push(from_attributes(attributes)?);
            }
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() || items.len() >= wanted {
                break;
            }
        }
        let more = items.len() >= wanted;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(|item| item.sk.clone());
        Ok(Page { items, next })
    }
}

fn key(pk: &str, sk: &str) -> Attributes {
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(pk.to_owned())),
        ("sk".to_owned(), AttributeValue::S(sk.to_owned())),
    ])
}

fn to_attributes(item: Item) -> Result<Attributes, TableError> {
    let mut attributes: Attributes =
        serde_dynamo::to_item(Value::Object(item.body)).map_err(|e| TableError::Refused(e.to_string()))?;
    attributes.extend(key(&item.pk, &item.sk));
    attributes.insert("version".to_owned(), AttributeValue::N(item.version.to_string()));
    if let Some(at) = item.expires_at {
        attributes.insert("expires_at".to_owned(), AttributeValue::N(at.to_string()));
    }
    Ok(attributes)
}

fn from_attributes(mut attributes: Attributes) -> Result<Item, TableError> {
    let mut text = |name: &str| match attributes.remove(name) {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    };
    let missing = |name: &str| TableError::Refused(format!("an item has no attribute {name}"));
    let (pk, sk) = (text("pk").ok_or_else(|| missing("pk"))?, text("sk").ok_or_else(|| missing("sk"))?);
    let mut number = |name: &str| match attributes.remove(name) {
        Some(AttributeValue::N(digits)) => digits.parse().ok(),
        _ => None,
    };
    let (version, expires_at) = (number("version").ok_or_else(|| missing("version"))?, number("expires_at"));
    let body: Map<String, Value> =
        serde_dynamo::from_item(attributes).map_err(|e| TableError::Refused(e.to_string()))?;
    Ok(Item { pk, sk, version, expires_at, body })
}

type Expression = (Option<String>, Option<HashMap<String, String>>, Option<Attributes>);

fn expression(condition: Condition) -> Expression {
    let with_version = |text: &str, version: i64| {
        let names = HashMap::from([("#v".to_owned(), "version".to_owned())]);
        let values = HashMap::from([(":v".to_owned(), AttributeValue::N(version.to_string()))]);
        (Some(text.to_owned()), Some(names), Some(values))
    };
    match condition {
        Condition::Always => (None, None, None),
        Condition::NotExists => (Some("attribute_not_exists(pk)".to_owned()), None, None),
        Condition::VersionIs(version) => with_version("#v = :v", version),
        Condition::VersionBelow(version) => with_version("attribute_not_exists(pk) OR #v < :v", version),
    }
}

/// The codes that say that the request is wrong, whenever it is made.
const REFUSALS: &[&str] = &[
    "ItemCollectionSizeLimitExceededException",
    "ResourceNotFoundException",
    "SerializationException",
    "ValidationException",
];

fn error<E>(error: &SdkError<E>) -> TableError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match aws::fault(error) {
        Fault::Code(code, _) if code == "ConditionalCheckFailedException" => TableError::ConditionFailed,
        Fault::Code(code, why) if REFUSALS.contains(&code.as_str()) => TableError::Refused(why),
        Fault::Code(_, why) | Fault::Silence(why) => TableError::Unavailable(why),
    }
}
