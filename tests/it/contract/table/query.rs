//! Queries: order, pages, and nobody else's items.

use halyard_cloud::table::{Condition, Item};
use serde_json::json;

use super::{Rig, body, both, item};

both! {
    items_come_in_the_order_of_the_bytes_of_their_sort_keys,
    a_query_goes_on_after_where_it_stopped,
    a_query_sees_one_partition_only,
    a_page_may_be_larger_than_a_megabyte,
}

async fn keys(rig: &Rig, pk: &str, after: Option<&str>, limit: u32) -> (Vec<String>, Option<String>) {
    let page = rig.table.query(&rig.name, pk, after, limit).await.expect("queried");
    (page.items.into_iter().map(|i| i.sk).collect(), page.next)
}

async fn fill(rig: &Rig, pk: &str, sort_keys: &[&str]) {
    let items = sort_keys.iter().map(|sk| item(pk, sk, 1)).collect();
    rig.table.put_all(&rig.name, items).await.expect("put");
}

/// In UTF-16 the last two would change places.
async fn items_come_in_the_order_of_the_bytes_of_their_sort_keys(rig: Rig) {
    let mut sort_keys = ["b", "B", "a#10", "a#2", "a", "é", "😀", "\u{ffee}", "~"];
    fill(&rig, "p", &sort_keys).await;
    sort_keys.sort_unstable();
    assert_eq!(keys(&rig, "p", None, 100).await, (sort_keys.map(str::to_owned).to_vec(), None));
}

async fn a_query_goes_on_after_where_it_stopped(rig: Rig) {
    fill(&rig, "p", &["a", "b", "c", "d"]).await;
    let owned = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
    assert_eq!(keys(&rig, "p", None, 2).await, (owned(&["a", "b"]), Some("b".to_owned())));
    assert_eq!(keys(&rig, "p", Some("b"), 2).await, (owned(&["c", "d"]), None));
    assert_eq!(keys(&rig, "p", Some("bb"), 1).await, (owned(&["c"]), Some("c".to_owned())));
    assert_eq!(keys(&rig, "p", Some("d"), 2).await, (vec![], None));
}

async fn a_query_sees_one_partition_only(rig: Rig) {
    for pk in ["o", "p", "p#", "pp", "q"] {
        fill(&rig, pk, &[&format!("of {pk}")]).await;
    }
    assert_eq!(keys(&rig, "p", None, 10).await, (vec!["of p".to_owned()], None));
    assert_eq!(keys(&rig, "r", None, 10).await, (vec![], None));
}

async fn a_page_may_be_larger_than_a_megabyte(rig: Rig) {
    for n in 0..5 {
        let large = Item { body: body(json!({"text": "x".repeat(300_000)})), ..item("p", &n.to_string(), 1) };
        rig.put(large, Condition::Always).await.expect("put");
    }
    let (all, next) = keys(&rig, "p", None, 10).await;
    assert_eq!((all.len(), next), (5, None));
}
