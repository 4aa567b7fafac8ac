//! The profile of a real data set against numbers that Python's standard library computed (`flights_expected.py`).

use halyard_tests::TestApp;
use serde_json::{Value, json};

const FLIGHTS: &str = include_str!("../../data/flights-2013-01.csv");
const EXPECTED: &str = include_str!("flights_expected.json");

/// Sums in another order differ in the last digits.
fn close(actual: &Value, expected: &Value) -> bool {
    let (Some(a), Some(e)) = (actual.as_f64(), expected.as_f64()) else { return actual == expected };
    (a - e).abs() <= 1e-9 * e.abs().max(1.0)
}

#[tokio::test]
async fn the_profile_of_a_month_of_flights_is_right() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let id = user.submit(json!({"task_type": "data_processing", "data": {"csv": FLIGHTS}})).await;
    app.drain().await;
    let task = user.task(&id).await;
    assert_eq!(task["status"], "completed", "{task}");
    let (result, expected) = (&task["result"], serde_json::from_str::<Value>(EXPECTED).expect("expected numbers"));
    assert_eq!(result["rows"], expected["rows"]);
    assert_eq!(result["bytes"], expected["bytes"]);
    assert_eq!(result["delimiter"], ",");
    assert_eq!(result["malformed_rows"]["count"], 0);
    let (columns, wanted) =
        (result["columns"].as_array().expect("columns"), expected["columns"].as_array().expect("columns"));
    assert_eq!(columns.len(), wanted.len());
    for (column, wanted) in columns.iter().zip(wanted) {
        let name = &wanted["name"];
        for field in ["name", "type", "count", "nulls", "distinct", "top_values"] {
            assert_eq!(column[field], wanted[field], "{name}.{field}");
        }
        assert_eq!(column["distinct_exact"], true, "{name}");
        for field in ["mean", "stddev"] {
            assert!(close(&column[field], &wanted[field]), "{name}.{field}: {} for {}", column[field], wanted[field]);
        }
        for q in ["p25", "p50", "p75", "p95"] {
            let (a, e) = (&column["quantiles"][q], &wanted["quantiles"][q]);
            assert!(close(a, e), "{name}.{q}: {a} for {e}");
        }
        if wanted["type"] == "integer" || wanted["type"] == "text" {
            assert_eq!((&column["min"], &column["max"]), (&wanted["min"], &wanted["max"]), "{name}");
        }
    }
    assert_eq!(task["progress"]["rows_processed"], expected["rows"]);
}

#[tokio::test]
async fn rows_of_another_length_are_counted_and_left_out() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let csv = "a;b\n1;2\n3\n4;5;6\n7;x\n";
    let id = user.submit(json!({"task_type": "data_processing", "data": {"csv": csv, "top": 1}})).await;
    app.drain().await;
    let result = user.task(&id).await["result"].take();
    assert_eq!(result["rows"], 2);
    assert_eq!(result["malformed_rows"], json!({"count": 2, "first_lines": [3, 4]}));
    assert_eq!(result["columns"][0]["mean"], 4.0);
    assert_eq!(result["columns"][1]["type"], "text");
}
