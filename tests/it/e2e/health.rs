use halyard_tests::Target;

#[tokio::test(flavor = "multi_thread")]
async fn the_system_says_that_it_is_well() {
    let target = Target::find().await;
    let anonymous = target.anonymous();
    assert_eq!(anonymous.get("/health/ping").await.expect(200).json()["status"], "healthy");
    assert_eq!(anonymous.get("/health/status").await.expect(200).json()["checks"]["database"]["status"], "up");
    anonymous.get("/api/status").await.expect(200);
    target.admin().await.get("/api/protected").await.expect(200);
    let nodes = anonymous.get("/health/nodes").await.expect(200).json();
    assert!(nodes["data"]["active_nodes"].as_i64().expect("a number") >= 1, "{nodes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_a_request_id_and_a_trace() {
    let target = Target::find().await;
    for path in ["/health/ping", "/no/such/path", "/api/status"] {
        let answer = target.anonymous().get(path).await;
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
        assert!(answer.header("traceparent").starts_with("00-"), "{path}");
    }
}
