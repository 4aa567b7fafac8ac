use chrono::Duration;
use halyard_tests::TestApp;
use serde_json::json;

#[tokio::test]
async fn a_node_is_listed_while_it_was_seen_within_a_minute() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    user.submit(json!({"task_type": "sample", "data": {}})).await;
    app.drain().await;
    let nodes = async || app.anonymous().get("/health/nodes").await.expect(200).json()["data"].take();
    let seen = nodes().await;
    assert!(seen["active_nodes"].as_i64().expect("a number") >= 1, "{seen}");
    assert_eq!(seen["total_nodes"].as_i64(), seen["nodes"].as_array().map(|n| i64::try_from(n.len()).expect("few")));
    for node in seen["nodes"].as_array().expect("nodes") {
        assert_eq!(node["status"], "active", "{node}");
        for field in ["node_id", "hostname", "last_heartbeat", "metrics"] {
            assert!(node.get(field).is_some_and(|v| !v.is_null()), "{field} of {node}");
        }
    }
    app.advance(Duration::minutes(5));
    let later = nodes().await;
    // The node that answers this request has just been seen; what was not asked since is inactive.
    let inactive = later["inactive_nodes"].as_i64().expect("a number");
    let active = later["active_nodes"].as_i64().expect("a number");
    assert_eq!(active + inactive, later["total_nodes"].as_i64().expect("a number"));
}
