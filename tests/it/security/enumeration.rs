//! Who has an account: nobody may find out by asking to sign in. (What takes how long is measured by the bench.)

use chrono::Duration;
use halyard_tests::{Actor, TestApp, TestResponse, actor::PASSWORD};
use serde_json::json;

/// The kinds of names that must not be told apart, and who they are.
const NAMES: &[(&str, &str)] = &[
    ("known", "maria"),
    ("known, in another case", "MARIA"),
    ("known by the address", "maria@example.com"),
    ("unknown", "nobody-here"),
    ("an unknown address", "nobody@example.com"),
    ("disabled", "gone"),
    ("disabled, by the address", "gone@example.com"),
    ("the administrator", "admin"),
    ("what no name can be", "%' or 1=1 --"),
    ("a name like a pattern", "mar%"),
    ("a name like a pattern with an underscore", "mari_"),
    ("with a space", "maria "),
    ("in other letters", "m\u{430}ria"),
];

async fn app() -> TestApp {
    let app = TestApp::spawn().await;
    // They never signed in from here: an address that is known to an account has a tally of its own.
    for name in ["maria", "gone"] {
        Actor::try_register(&app.transport(), name).await.expect(200);
    }
    app.execute("update users set email_verified = true").await;
    app.execute("update users set status = 'disabled' where username = 'gone'").await;
    app
}

async fn attempt(app: &TestApp, name: &str, password: &str) -> TestResponse {
    app.anonymous().post("/auth/login", json!({"username": name, "password": password})).await
}

/// Everything in an answer that does not name the one request: status, each header in its order, each byte of the body.
fn telling(answer: &TestResponse) -> String {
    let own = ["x-request-id", "traceparent", "apigw-requestid", "date"];
    let headers = answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
    let own_names = own.map(|name| answer.headers.get_all(name).iter().count());
    let body = answer.text().replace(answer.header("x-request-id"), "REQUEST");
    format!("{}\n{}\n{own_names:?}\n{body}", answer.status, headers.join("\n"))
}

#[tokio::test]
async fn login_answers_the_same_whoever_is_named() {
    let app = app().await;
    let mut first: Option<String> = None;
    for (what, name) in NAMES {
        // Every limit is full again.
        app.advance(Duration::minutes(3));
        let answer = attempt(&app, name, "a wrong password").await.expect_problem(401, "invalid_credentials");
        assert!(answer.headers.get("set-cookie").is_none(), "{what}");
        let told = telling(&answer);
        let first = first.get_or_insert_with(|| told.clone());
        assert_eq!(told, *first, "{what}");
    }
    // A disabled account's right password is as good as a wrong one.
    for name in ["gone", "gone@example.com"] {
        app.advance(Duration::minutes(3));
        let told = telling(&attempt(&app, name, PASSWORD).await.expect_problem(401, "invalid_credentials"));
        assert_eq!(Some(told), first, "{name}");
    }
}

#[tokio::test]
async fn login_refuses_as_soon_and_for_as_long_whoever_is_named() {
    let app = app().await;
    let mut first: Option<Vec<String>> = None;
    for (what, name) in NAMES {
        app.advance(Duration::minutes(30));
        let mut course = Vec::new();
        for _ in 0..8 {
            course.push(telling(&attempt(&app, name, "a wrong password").await));
        }
        let refused = course.iter().filter(|told| told.starts_with("429")).count();
        assert!((1..8).contains(&refused), "{what}: {refused} of 8 were refused");
        let first = first.get_or_insert_with(|| course.clone());
        assert_eq!(course, *first, "{what}");
    }
}

#[tokio::test]
async fn a_token_is_refused_the_same_for_an_account_that_is_gone_and_one_that_never_was() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user_named("maria").await;
    let refresh = user.refresh_token.clone().expect("a token");
    user.post("/auth/logout", json!({})).await.expect(200);
    let ended = app.anonymous().post("/auth/refresh", json!({ "refresh_token": refresh })).await.expect(401);
    let told = telling(&ended);
    assert!(!told.contains("maria") && !told.contains("password"), "{told}");
}
