use halyard_tests::target;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_month_of_flights_is_profiled() {
    let target = target!();
    let user = target.user("e2e-data").await;
    let csv = include_str!("../../data/flights-2013-01.csv");
    let id = user.submit(json!({"task_type": "data_processing", "data": {"csv": csv}})).await;
    let task = target.finished(&user, &id).await;
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(task["result"]["rows"], 27_004);
    assert_eq!(task["result"]["columns"].as_array().map(Vec::len), Some(19));
}
