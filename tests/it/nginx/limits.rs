//! Flood limits: a multiple of the functions' own.

use std::collections::HashMap;

use halyard_tests::{Actor, Nginx, ScriptedNode, TestResponse};
use http::Method;

/// The status codes of so many requests at once, and one of the refusals.
async fn flood(who: &Actor, method: &Method, path: &str, times: usize) -> (HashMap<u16, usize>, Option<TestResponse>) {
    let mut codes = HashMap::new();
    let mut refused = None;
    for _ in 0..times.div_ceil(50) {
        let answers = (0..50).map(|_| who.request(method.clone(), path).send());
        for answer in futures::future::join_all(answers).await {
            *codes.entry(answer.code()).or_insert(0) += 1;
            refused = (answer.code() == 429).then_some(answer).or(refused);
        }
    }
    (codes, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_meets_429_with_retry_after_and_what_is_below_ten_times_the_contract_does_not() {
    let node = ScriptedNode::answering(200, "", "{}");
    let nginx = Nginx::before(&[node.address()], &[]);
    let caller = nginx.anonymous().with_token("a.b.c");
    // The contract: registering 5 a minute, the profile 50 a minute.
    for (who, method, path, quota) in
        [(&nginx.anonymous(), Method::POST, "/auth/register", 5), (&caller, Method::GET, "/auth/profile", 50)]
    {
        let (codes, refused) = flood(who, &method, path, quota * 20).await;
        let passed = codes[&200];
        // What the bucket regains meanwhile passes, too.
        assert!((quota * 10..quota * 15).contains(&passed), "{path}: {codes:?}");
        let refused = refused.expect("a refusal").expect_problem(429, "rate_limited");
        let wait: u32 = refused.header("retry-after").parse().expect("seconds");
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(refused.json()["instance"], path);
        assert_eq!(refused.json()["request_id"], refused.header("x-request-id"));
        assert_eq!(node.requests(path).len(), passed, "what is refused reaches nobody");
    }
    let line = nginx.log_with(|l| l["status"] == 429).await;
    assert_eq!(line["limit"], "REJECTED");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_callers_flood_leaves_others_and_other_routes_alone() {
    let node = ScriptedNode::answering(200, "", "{}");
    let nginx = Nginx::before(&[node.address()], &[("LIMITS", "1")]);
    let (loud, quiet) = (nginx.anonymous().with_token("a.b.loud"), nginx.anonymous().with_token("a.b.quiet"));
    let (codes, _) = flood(&loud, &Method::GET, "/auth/profile", 150).await;
    assert!(codes[&429] > 50, "{codes:?}");
    quiet.get("/auth/profile").await.expect(200);
    loud.get("/auth/sessions").await.expect(200);
    loud.get("/health/ping").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_can_be_off() {
    let node = ScriptedNode::answering(200, "", "{}");
    let nginx = Nginx::before(&[node.address()], &[("LIMITS", "off")]);
    let (codes, _) = flood(&nginx.anonymous(), &Method::POST, "/auth/register", 200).await;
    assert_eq!(codes, HashMap::from([(200, 200)]));
}
