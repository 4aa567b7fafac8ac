//! `data_transformation`, step by step.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "support/attempts.rs"]
mod attempts;

use attempts::{errors, run};
use serde_json::{Value, json};

const SALES: &str =
    "region,item,amount,sold\nnorth,apple,10,true\nsouth,pear,4,false\nnorth,pear,,true\nsouth,apple,30,true\n";

async fn steps(steps: Value) -> Value {
    run("data_transformation", json!({"data": SALES, "transformations": steps})).await.unwrap()["output"].take()
}

#[tokio::test]
async fn the_originals_example_is_taken_and_works_on_the_step_before() {
    let example =
        json!({"input_format": "csv", "output_format": "json", "transformations": ["aggregate", "normalize"]});
    assert_eq!(errors("data_transformation", &example), []);
    assert_eq!(run("data_transformation", example.clone()).await.unwrap()["rows_in"], 0);
    let mut chained = example;
    chained["input"] = json!({"dataset": "sales", "rows": [{"amount": 2}, {"amount": 4}]});
    let result = run("data_transformation", chained).await.unwrap();
    assert_eq!(result["rows_in"], 2);
    assert_eq!(result["steps"], json!([{"step": "aggregate", "rows": 1}, {"step": "normalize", "rows": 1}]));
}

#[tokio::test]
async fn each_step_does_what_it_says() {
    let amounts = |rows: &Value| rows.as_array().unwrap().iter().map(|row| row["amount"].clone()).collect::<Vec<_>>();
    let kept = steps(json!([{"type": "filter", "column": "amount", "op": "ge", "value": 10}])).await;
    assert_eq!(amounts(&kept), [10, 30], "null compares with nothing");
    let kept = steps(json!([{"type": "filter", "column": "item", "op": "in", "value": ["pear"]}])).await;
    assert_eq!(amounts(&kept), [json!(4), json!(null)]);
    let kept = steps(json!([{"type": "filter", "column": "amount", "op": "is_null"}])).await;
    assert_eq!(kept.as_array().unwrap().len(), 1);
    let sorted = steps(json!([{"type": "sort", "by": ["amount"], "descending": true}])).await;
    assert_eq!(amounts(&sorted), [json!(30), json!(10), json!(4), json!(null)], "nulls are last");
    let filled = steps(json!([{"type": "fill", "column": "amount", "value": 0}, {"type": "normalize"}])).await;
    assert_eq!(filled[3]["amount"], 1.0);
    assert_eq!(filled[2]["amount"], 0.0);
    let scaled = steps(json!([{"type": "normalize", "columns": ["amount"], "method": "z_score"}])).await;
    assert!(scaled[1]["amount"].as_f64().unwrap() < 0.0);
    let renamed =
        steps(json!([{"type": "rename", "columns": {"amount": "euros"}}, {"type": "select", "columns": ["euros"]}]));
    assert_eq!(renamed.await[0], json!({"euros": 10}));
    let dropped = steps(json!([{"type": "drop", "columns": ["item", "amount", "sold"]}, "deduplicate"])).await;
    assert_eq!(dropped, json!([{"region": "north"}, {"region": "south"}]));
    let limited =
        steps(json!([{"type": "limit", "count": 1}, {"type": "convert", "column": "amount", "to": "text"}])).await;
    assert_eq!(limited[0]["amount"], "10");
    let converted = steps(
        json!([{"type": "convert", "column": "sold", "to": "text"}, {"type": "convert", "column": "sold", "to": "boolean"}]),
    );
    assert_eq!(converted.await[0]["sold"], true);
}

#[tokio::test]
async fn groups_are_aggregated_and_csv_keeps_its_columns() {
    let step = json!({"type": "aggregate", "group_by": ["region"], "columns": {"amount": ["sum", "count", "max"]}});
    let rows = steps(json!([step.clone()])).await;
    assert_eq!(
        rows[0],
        json!({"region": "north", "row_count": 2, "amount_sum": 10.0, "amount_count": 1, "amount_max": 10.0})
    );
    assert_eq!(rows[1]["amount_sum"], 34.0);
    let csv = run("data_transformation", json!({"data": SALES, "output_format": "csv", "transformations": [step]}));
    let csv = csv.await.unwrap();
    assert_eq!(
        csv["output"],
        "region,row_count,amount_sum,amount_count,amount_max\nnorth,2,10.0,1,10.0\nsouth,2,34.0,2,30.0\n"
    );
    let same = run("data_transformation", json!({"data": SALES, "output_format": "csv"})).await.unwrap();
    assert_eq!(same["output"], SALES);
}

#[test]
fn what_cannot_be_done_is_named() {
    let bad = |steps: Value| errors("data_transformation", &json!({"data": "a\n1\n", "transformations": steps}));
    let at = |pointer: &str, code| vec![(pointer.to_owned(), code)];
    assert_eq!(bad(json!(["filter"])), at("/transformations/0/column", "required"));
    assert_eq!(bad(json!(["explode"])), at("/transformations/0", "invalid_value"));
    assert_eq!(bad(json!([{"type": "sort", "by": []}])), at("/transformations/0", "invalid_value"));
    assert_eq!(bad(json!([{"type": "filter", "column": "a", "op": "gt"}])), at("/transformations/0", "invalid_value"));
    assert_eq!(bad(json!(vec!["aggregate"; 51])), at("/transformations", "too_many"));
    assert_eq!(errors("data_transformation", &json!({"data": [1]})), at("/data", "invalid_value"));
    assert_eq!(errors("data_transformation", &json!({"data": "a,b\n1\n"})), at("/data", "invalid_value"));
}
