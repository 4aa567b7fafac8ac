use halyard_tests::target;

#[tokio::test(flavor = "multi_thread")]
async fn the_system_says_that_it_is_well() {
    let target = target!();
    let anonymous = target.anonymous();
    assert_eq!(anonymous.get("/health/ping").await.expect(200).json()["status"], "healthy");
    let health = anonymous.get("/health/status").await.expect(200).json();
    assert_eq!(health["status"], "healthy", "{health}");
    for check in ["database", "redis"] {
        assert_eq!(health["checks"][check]["status"], "up", "{health}");
    }
    anonymous.get("/api/status").await.expect(200);
    let nodes = anonymous.get("/health/nodes").await.expect(200).json();
    assert!(nodes["data"]["active_nodes"].as_i64().expect("a number") >= 1, "{nodes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn public_keys_are_published_and_private_ones_are_not() {
    let target = target!();
    let keys = target.anonymous().get("/.well-known/jwks.json").await.expect(200).json();
    let keys = keys["keys"].as_array().expect("keys");
    assert!(!keys.is_empty() && keys.iter().all(|key| key.get("d").is_none()), "{keys:?}");
}
