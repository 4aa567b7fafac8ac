//! What every `Table` keeps. Each test runs against the twin and against the DynamoDB API.

mod limits;
mod query;

use std::sync::Arc;

use halyard_cloud::{
    aws::AwsSettings,
    table::{Condition, DynamoTable, Item, Table, TableError, TableName, TableTwin},
};
use serde_json::{Map, Value, json};

use super::aws;

/// A table under test.
pub struct Rig {
    pub table: Arc<dyn Table>,
    pub name: TableName,
}

impl Rig {
    /// The twin, in memory.
    pub fn twin() -> Self {
        let name = TableName("table".to_owned());
        Self { table: Arc::new(TableTwin::in_memory([name.clone()]).expect("a twin")), name }
    }

    /// The `DynamoDB` API.
    pub async fn dynamo() -> Self {
        let name = aws::table().await;
        let settings: AwsSettings = aws::settings();
        Self { table: Arc::new(DynamoTable::new(&settings.sdk_config())), name }
    }

    pub async fn put(&self, item: Item, condition: Condition) -> Result<(), TableError> {
        self.table.put(&self.name, item, condition).await
    }

    pub async fn get(&self, pk: &str, sk: &str) -> Option<Item> {
        self.table.get(&self.name, pk, sk).await.expect("read")
    }

    async fn version(&self) -> Option<i64> {
        self.get("p", "s").await.map(|item| item.version)
    }
}

/// An item with nothing in it.
pub fn item(pk: &str, sk: &str, version: i64) -> Item {
    Item { pk: pk.to_owned(), sk: sk.to_owned(), version, expires_at: None, body: Map::new() }
}

pub fn body(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is not an object"),
    }
}

/// Runs every test of a contract against both sides.
macro_rules! both {
    ($($test:ident),* $(,)?) => {
        mod twin { $( #[tokio::test] async fn $test() { super::$test(super::Rig::twin()).await } )* }
        mod dynamo { $( #[tokio::test] async fn $test() { super::$test(super::Rig::dynamo().await).await } )* }
    };
}
use both;

both! {
    an_item_comes_back_as_it_was_put,
    what_was_never_put_is_not_there,
    a_put_replaces_the_whole_item,
    a_put_happens_only_if_its_condition_holds,
    a_delete_happens_only_if_its_condition_holds,
    of_writers_that_read_the_same_version_one_wins,
    put_all_writes_any_number_and_the_last_of_a_key_counts,
    an_expired_item_is_read_until_it_is_swept,
}

async fn an_item_comes_back_as_it_was_put(rig: Rig) {
    let put = Item {
        expires_at: Some(4_102_444_800),
        body: body(json!({
            "text": "ünï 😀 \u{0}", "empty": "", "null": null, "yes": true, "whole": 9_007_199_254_740_993_i64, "below": -7,
            "part": 0.25, "list": [1, "two", [], {}], "map": {"a": {"b": [null]}}, "odd name: #1": "kept",
        })),
        ..item("user#1", "session#x", 7)
    };
    rig.put(put.clone(), Condition::Always).await.expect("put");
    assert_eq!(rig.get("user#1", "session#x").await, Some(put));
}

async fn what_was_never_put_is_not_there(rig: Rig) {
    assert_eq!(rig.get("p", "s").await, None);
    rig.table.delete(&rig.name, "p", "s", Condition::Always).await.expect("deleting nothing is fine");
}

async fn a_put_replaces_the_whole_item(rig: Rig) {
    let full = Item { expires_at: Some(4_102_444_800), body: body(json!({"old": 1})), ..item("p", "s", 1) };
    rig.put(full, Condition::Always).await.expect("put");
    let bare = Item { body: body(json!({"new": 2})), ..item("p", "s", 2) };
    rig.put(bare.clone(), Condition::Always).await.expect("put");
    assert_eq!(rig.get("p", "s").await, Some(bare));
}

/// Condition, the version that is there before, whether it holds.
const CONDITIONS: [(Condition, Option<i64>, bool); 11] = [
    (Condition::Always, None, true),
    (Condition::Always, Some(5), true),
    (Condition::NotExists, None, true),
    (Condition::NotExists, Some(5), false),
    (Condition::VersionIs(5), Some(5), true),
    (Condition::VersionIs(5), Some(6), false),
    (Condition::VersionIs(5), None, false),
    (Condition::VersionBelow(5), None, true),
    (Condition::VersionBelow(5), Some(4), true),
    (Condition::VersionBelow(5), Some(5), false),
    (Condition::VersionBelow(5), Some(50), false),
];

async fn set(rig: &Rig, present: Option<i64>) {
    match present {
        Some(version) => rig.put(item("p", "s", version), Condition::Always).await.expect("put"),
        None => rig.table.delete(&rig.name, "p", "s", Condition::Always).await.expect("deleted"),
    }
}

async fn a_put_happens_only_if_its_condition_holds(rig: Rig) {
    for (condition, present, holds) in CONDITIONS {
        set(&rig, present).await;
        let answer = rig.put(item("p", "s", 99), condition).await;
        let after = rig.version().await;
        if holds {
            assert!(answer.is_ok() && after == Some(99), "{condition:?} over {present:?}: {answer:?}, {after:?}");
        } else {
            let failed = matches!(answer, Err(TableError::ConditionFailed));
            assert!(failed && after == present, "{condition:?} over {present:?}: {answer:?}, {after:?}");
        }
    }
}

async fn a_delete_happens_only_if_its_condition_holds(rig: Rig) {
    for (condition, present, holds) in CONDITIONS {
        set(&rig, present).await;
        let answer = rig.table.delete(&rig.name, "p", "s", condition).await;
        let after = rig.version().await;
        if holds {
            assert!(answer.is_ok() && after.is_none(), "{condition:?} over {present:?}: {answer:?}, {after:?}");
        } else {
            let failed = matches!(answer, Err(TableError::ConditionFailed));
            assert!(failed && after == present, "{condition:?} over {present:?}: {answer:?}, {after:?}");
        }
    }
}

async fn of_writers_that_read_the_same_version_one_wins(rig: Rig) {
    rig.put(item("p", "s", 1), Condition::Always).await.expect("put");
    let writers = (0..16).map(|n| {
        let next = Item { body: body(json!({ "writer": n })), ..item("p", "s", 2) };
        rig.put(next, Condition::VersionIs(1))
    });
    let answers = futures::future::join_all(writers).await;
    let winners: Vec<usize> = (0..16).filter(|&n| answers[n].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{answers:?}");
    let stored = rig.get("p", "s").await.expect("an item");
    assert_eq!(stored.body["writer"], json!(winners[0]));
}

async fn put_all_writes_any_number_and_the_last_of_a_key_counts(rig: Rig) {
    let mut items: Vec<Item> = (0..60).map(|n| item("p", &format!("{n:03}"), n)).collect();
    items.push(item("p", "007", 700));
    rig.table.put_all(&rig.name, items).await.expect("put");
    rig.table.put_all(&rig.name, Vec::new()).await.expect("nothing to do is fine");
    let page = rig.table.query(&rig.name, "p", None, 100).await.expect("queried");
    let versions: Vec<i64> = page.items.iter().map(|i| i.version).collect();
    let expected: Vec<i64> = (0..60).map(|n| if n == 7 { 700 } else { n }).collect();
    assert_eq!(versions, expected);
}

/// "DynamoDB automatically deletes expired items within a few days of their expiration time": a reader must check.
async fn an_expired_item_is_read_until_it_is_swept(rig: Rig) {
    let expired = Item { expires_at: Some(1), ..item("p", "s", 1) };
    rig.put(expired.clone(), Condition::Always).await.expect("put");
    assert_eq!(rig.get("p", "s").await, Some(expired));
}
