//! What every `Table` refuses.

use halyard_cloud::table::{
    Condition, Item, TableError, TableName,
    limits::{MAX_ITEM, MAX_PK, MAX_SK, item_size},
};
use serde_json::json;

use super::{Rig, body, both, item};

both! {
    an_item_of_400_kb_is_taken_and_a_byte_more_is_not,
    keys_have_limits,
    the_body_may_not_use_the_names_of_the_item,
    a_query_returns_one_to_a_thousand_items,
    an_unknown_table_is_refused,
}

fn refused<T: std::fmt::Debug>(answer: &Result<T, TableError>) {
    assert!(matches!(answer, Err(TableError::Refused(_))), "{answer:?}");
}

async fn an_item_of_400_kb_is_taken_and_a_byte_more_is_not(rig: Rig) {
    let of_size = |bytes: usize| {
        let frame = item_size(&Item { body: body(json!({"text": ""})), ..item("p", "s", 1) });
        Item { body: body(json!({"text": "x".repeat(bytes - frame)})), ..item("p", "s", 1) }
    };
    rig.put(of_size(MAX_ITEM), Condition::Always).await.expect("400 KB are fine");
    refused(&rig.put(of_size(MAX_ITEM + 1), Condition::Always).await);
    refused(&rig.table.put_all(&rig.name, vec![of_size(MAX_ITEM + 1)]).await);
}

async fn keys_have_limits(rig: Rig) {
    let (pk, sk) = ("p".repeat(MAX_PK), "s".repeat(MAX_SK));
    rig.put(item(&pk, &sk, 1), Condition::Always).await.expect("the longest keys are fine");
    assert!(rig.get(&pk, &sk).await.is_some());
    for (pk, sk) in [("", "s"), ("p", ""), (&*format!("{pk}p"), "s"), ("p", &*format!("{sk}s"))] {
        refused(&rig.put(item(pk, sk, 1), Condition::Always).await);
        refused(&rig.table.get(&rig.name, pk, sk).await);
        refused(&rig.table.delete(&rig.name, pk, sk, Condition::Always).await);
    }
}

async fn the_body_may_not_use_the_names_of_the_item(rig: Rig) {
    for name in ["pk", "sk", "version", "expires_at", ""] {
        refused(&rig.put(Item { body: body(json!({ name: 1 })), ..item("p", "s", 1) }, Condition::Always).await);
    }
}

async fn a_query_returns_one_to_a_thousand_items(rig: Rig) {
    for limit in [0, 1001] {
        refused(&rig.table.query(&rig.name, "p", None, limit).await);
    }
}

async fn an_unknown_table_is_refused(rig: Rig) {
    let unknown = TableName("no-such-table".to_owned());
    refused(&rig.table.get(&unknown, "p", "s").await);
    refused(&rig.table.put(&unknown, item("p", "s", 1), Condition::Always).await);
    refused(&rig.table.put_all(&unknown, vec![item("p", "s", 1)]).await);
    refused(&rig.table.query(&unknown, "p", None, 1).await);
}
