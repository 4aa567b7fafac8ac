use halyard_tests::TestApp;

use crate::assert_snapshot;

#[tokio::test]
async fn types_describe_their_input_as_json_schema() {
    let app = TestApp::spawn().await;
    let answer = app.user().await.get("/tasks/types").await.expect(200);
    for name in ["sample", "user_specific", "data_processing"] {
        assert!(answer.text().contains(&format!("\"{name}\"")), "{name}");
    }
    assert_snapshot!("types", answer);
}
