//! DynamoDB's limits, checked before a request leaves, so that the twin and the real service refuse the same things.
//! Source: Amazon DynamoDB Developer Guide, "Quotas in Amazon DynamoDB" and "Item sizes and formats".

use serde_json::{Map, Value};

use super::{Item, TableError};

/// The largest item: names and values of all attributes together, in bytes.
pub const MAX_ITEM: usize = 400 * 1024;
/// The longest partition key in bytes.
pub const MAX_PK: usize = 2048;
/// The longest sort key in bytes.
pub const MAX_SK: usize = 1024;
/// The most items that a query returns at once.
pub const MAX_LIMIT: u32 = 1000;
/// Names that the body may not use.
pub const RESERVED: [&str; 4] = ["pk", "sk", "version", "expires_at"];

fn refuse<T>(why: impl Into<String>) -> Result<T, TableError> {
    Err(TableError::Refused(why.into()))
}

pub(super) fn check_key(pk: &str, sk: &str) -> Result<(), TableError> {
    if pk.is_empty() || pk.len() > MAX_PK {
        return refuse("a partition key has 1 to 2048 bytes");
    }
    if sk.is_empty() || sk.len() > MAX_SK {
        return refuse("a sort key has 1 to 1024 bytes");
    }
    Ok(())
}

pub(super) fn check_item(item: &Item) -> Result<(), TableError> {
    check_key(&item.pk, &item.sk)?;
    if let Some(name) = RESERVED.iter().find(|name| item.body.contains_key(**name)) {
        return refuse(format!("the body may not have an entry called {name}"));
    }
    if item.body.contains_key("") {
        return refuse("an entry of the body must have a name");
    }
    if item_size(item) > MAX_ITEM { refuse("an item has at most 400 KB") } else { Ok(()) }
}

pub(super) fn check_query(pk: &str, limit: u32) -> Result<(), TableError> {
    if !(1..=MAX_LIMIT).contains(&limit) {
        return refuse("a query returns 1 to 1000 items");
    }
    check_key(pk, "-")
}

/// The item's size as DynamoDB counts it.
pub fn item_size(item: &Item) -> usize {
    let keys = "pk".len() + item.pk.len() + "sk".len() + item.sk.len();
    let version = "version".len() + number_size(&item.version.to_string());
    let expiry = item.expires_at.map_or(0, |at| "expires_at".len() + number_size(&at.to_string()));
    keys + version + expiry + entries_size(&item.body)
}

fn entries_size(map: &Map<String, Value>) -> usize {
    map.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(n) => number_size(&n.to_string()),
        Value::String(text) => text.len(),
        // "3 bytes of overhead, and each element 1 byte of overhead".
        Value::Array(list) => 3 + list.iter().map(|v| 1 + value_size(v)).sum::<usize>(),
        Value::Object(map) => 3 + map.len() + entries_size(map),
    }
}

/// "Approximately 1 byte per two significant digits, plus 1 byte", and one more for a negative number.
fn number_size(digits: &str) -> usize {
    let significant = digits.bytes().filter(u8::is_ascii_digit).count();
    significant.div_ceil(2) + 1 + usize::from(digits.starts_with('-'))
}
