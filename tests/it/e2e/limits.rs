use halyard_tests::target;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_tells_what_is_left_of_the_limit() {
    let target = target!();
    let user = target.user("e2e-limit").await;
    let answer = user.get("/api/protected").await.expect(200);
    assert_eq!(answer.header("ratelimit-policy"), "\"caller\";q=300;w=60");
    let left = |answer: &halyard_tests::TestResponse| -> u32 {
        let value = answer.header("ratelimit").strip_prefix("\"caller\";r=").and_then(|v| v.split(';').next());
        value.and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("RateLimit: {}", answer.header("ratelimit")))
    };
    let before = left(&answer);
    assert!(before < 300);
    assert!(left(&target.admin().await.get("/tasks/types").await.expect(200)) < 6000, "each route has its own");
}

/// Of an account that does not exist, so that nobody is shut out.
#[tokio::test(flavor = "multi_thread")]
async fn guessing_passwords_is_refused_with_the_time_to_wait() {
    let target = target!();
    let name = target.unused_name("e2e-guess");
    let guess = async || {
        let body = json!({"username": name, "password": "not the password"});
        target.anonymous().post("/auth/login", body).await
    };
    let mut refused = None;
    for _ in 0..6 {
        let answer = guess().await;
        if answer.code() == 429 {
            refused = Some(answer);
            break;
        }
        answer.expect_problem(401, "invalid_credentials");
    }
    let refused = refused.expect("five a minute").expect_problem(429, "rate_limited");
    let wait: u32 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(refused.header("ratelimit").starts_with("\"account\";r=0;"), "{refused:?}");
    assert!(refused.header("ratelimit-policy").starts_with("\"account\";q=5;w=60"), "{refused:?}");
    // Others are not shut out.
    target.user("e2e-bystander").await.get("/api/protected").await.expect(200);
}
