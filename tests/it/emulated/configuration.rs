//! A function that cannot start says why.

use halyard_tests::stack::EmulatedStack;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_function_with_a_wrong_variable_names_it_in_its_log_and_fails_its_callers_clearly() {
    let stack = EmulatedStack::prepare("config").await;
    let refused = stack.deploy(&[("DatabaseUrl", "mysql://halyard@somewhere/halyard")]).await;
    assert!(!refused.succeeded, "{refused:?}");
    assert!(refused.said.contains("DATABASE_URL: must begin with postgres://"), "{}", refused.said);

    let answer = stack.emulator.invoke(&stack.output("BeatFunction").await, &json!({})).await;
    assert!(!answer.header("x-amz-function-error").is_empty(), "the invocation failed: {}", answer.text());
    assert!(answer.text().contains("DATABASE_URL"), "{}", answer.text());

    // Callers of the API get the gateway's own answer; AWS would not show them the function's words in it.
    let form = halyard_tests::environment::variable("API_URL");
    let form = form.unwrap_or_else(|| "{endpoint}/_aws/execute-api/{id}/$default".to_owned());
    let url = form.replace("{endpoint}", &stack.emulator.endpoint).replace("{id}", &stack.output("ApiId").await);
    let answer = halyard_tests::Target::at(&url).anonymous().get("/health/ping").await;
    assert!([500, 502, 503].contains(&answer.code()), "{}", answer.text());
    // MiniStack does, with a 502; so they have to be fit to be shown (docs/fidelity.md).
    assert!(!answer.text().contains("halyard@somewhere"), "{}", answer.text());

    // A secret that is not there is named as well, by the variable that refers to it.
    let refused = stack.deploy(&[("SecretsPrefix", "nobody-made-these")]).await;
    assert!(refused.said.contains("nobody-made-these/"), "{}", refused.said);
    assert!(refused.said.contains("_PASSWORD"), "{}", refused.said);

    let mended = stack.deploy(&[]).await.target();
    mended.anonymous().get("/health/ping").await.expect(200);
}
