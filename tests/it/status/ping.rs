use halyard_tests::TestApp;

use crate::assert_snapshot;

#[tokio::test]
async fn ping_says_who_answers() {
    let app = TestApp::spawn().await;
    assert_snapshot!("pong", app.anonymous().get("/health/ping").await.expect(200));
}

#[tokio::test]
async fn api_status_tells_service_and_version() {
    let app = TestApp::spawn().await;
    let answer = app.anonymous().get("/api/status").await.expect(200);
    assert_snapshot!("api_status", answer);
}
