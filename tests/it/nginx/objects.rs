//! Links to stored results, where an emulator keeps them that only NGINX reaches.

use halyard_tests::{Nginx, ScriptedNode};
use http::Method;

const OBJECT: &str = "/halyard-results-000000000000-eu-central-1/results/task_01J00000000000000000000000/1.json";

/// A query as S3 signs it.
fn signed(path: &str) -> String {
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=300&X-Amz-SignedHeaders=host";
    format!("{path}?{query}&X-Amz-Signature={}", "0123456789abcdef".repeat(4))
}

fn before(emulator: Option<&ScriptedNode>) -> (ScriptedNode, Nginx) {
    let node = ScriptedNode::answering(404, "", "{}");
    let objects = emulator.map(|emulator| emulator.address().to_string()).unwrap_or_default();
    let nginx = Nginx::before(&[node.address()], &[("OBJECTS", &objects), ("LIMITS", "off")]);
    (node, nginx)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_link_to_a_stored_result_reaches_the_emulator_as_it_was_signed() {
    let emulator = ScriptedNode::answering(200, "content-type: application/json\r\n", "{\"much\":1}");
    let (_node, nginx) = before(Some(&emulator));
    // Whose link it is, its signature says; a credential is nobody's business there.
    let draft = nginx.anonymous().request(Method::GET, &signed(OBJECT)).header("authorization", "Bearer token");
    let answer = draft.send().await.expect(200);
    assert_eq!((answer.text().as_str(), answer.header("cache-control")), ("{\"much\":1}", "no-store"));
    let seen = emulator.requests(OBJECT);
    let [request] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", signed(OBJECT).as_str()));
    assert_eq!(request.header("host"), nginx.base_url().strip_prefix("https://"));
    assert_eq!(request.header("authorization"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_of_the_emulator_is_reached() {
    let emulator = ScriptedNode::answering(200, "", "{}");
    let (node, nginx) = before(Some(&emulator));
    let nobody = nginx.anonymous();
    let without = |part: &str| signed(OBJECT).replace(part, "");
    let refused = [
        (Method::GET, OBJECT.to_owned(), 404),
        (Method::GET, without("X-Amz-Algorithm=AWS4-HMAC-SHA256"), 404),
        (Method::GET, signed(OBJECT).replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), 404),
        (Method::GET, without("X-Amz-Signature="), 404),
        // What a decoded path looks like says nothing of what is sent on.
        (Method::GET, signed(&OBJECT.replace("/results/", "/%72esults/")), 404),
        (Method::GET, signed(&format!("/_ministack/..{OBJECT}")), 404),
        (Method::PUT, signed(OBJECT), 405),
        (Method::DELETE, signed(OBJECT), 405),
    ];
    for (method, path, code) in refused {
        let answer = nobody.request(method.clone(), &path).send().await;
        assert_eq!(answer.code(), code, "{method} {path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json", "{method} {path}");
    }
    for path in ["/", "/_ministack/ses/messages", "/halyard-results-000000000000-eu-central-1", "/x/results/"] {
        nobody.request(Method::GET, &signed(path)).send().await.expect(404);
        assert_eq!(node.requests(path).len(), 1, "{path} is the nodes' to answer");
        assert!(emulator.requests(path).is_empty(), "{path}");
    }
    assert!(emulator.requests(OBJECT).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_emulator_keeps_results_a_node_answers_for_every_path() {
    let (node, nginx) = before(None);
    nginx.anonymous().request(Method::GET, &signed(OBJECT)).send().await.expect(404);
    assert_eq!(node.requests(OBJECT).len(), 1);
}
