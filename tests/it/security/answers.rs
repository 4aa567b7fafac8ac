//! The headers of every answer, good or bad.

use halyard_tests::{Actor, Draft, TestApp, TestResponse};
use http::Method;

use super::table;

/// Where a page might come from that is not ours.
const ORIGINS: &[&str] =
    &["https://evil.example", "null", "http://localhost:3000", "https://evil.example:443", "file://"];

/// What an answer by a function has.
fn check(what: &str, answer: &TestResponse) {
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
    assert!(policy.contains("default-src"), "{what}: {policy}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(answer.header("referrer-policy"), "no-referrer", "{what}");
    assert!(!answer.header("cache-control").is_empty(), "{what}: nobody says who may keep it");
    assert!(!answer.header("x-request-id").is_empty() && !answer.header("traceparent").is_empty(), "{what}");
    let kind = answer.header("content-type");
    assert!(answer.body.is_empty() || !kind.is_empty(), "{what}");
    assert!(
        !kind.starts_with("text/html") || policy.contains("script-src") || policy.contains("default-src 'none'"),
        "{what}"
    );
    reveals_nothing(what, answer);
}

/// What any answer does not have, by whomever it is.
fn reveals_nothing(what: &str, answer: &TestResponse) {
    for name in [
        "server",
        "x-powered-by",
        "via",
        "x-runtime",
        "x-version",
        "x-aspnet-version",
        "x-debug",
        "x-amzn-remapped-server",
    ] {
        assert!(!answer.headers.contains_key(name), "{what}: {name}: {}", answer.header(name));
    }
    assert!(!answer.headers.contains_key("access-control-allow-credentials"), "{what}");
    let allowed = answer.header("access-control-allow-origin");
    assert!(allowed.is_empty() || allowed == "*", "{what}: {allowed}");
    assert!(
        !answer.headers.contains_key("set-cookie"),
        "{what}: a cookie needs HttpOnly, Secure and SameSite; say here which"
    );
}

fn by_a_function(answer: &TestResponse) -> bool {
    answer.headers.contains_key("x-request-id")
}

async fn walk(app: &TestApp, who: &Actor, with: impl Fn(Draft) -> Draft) -> usize {
    let mut of_functions = 0;
    for (n, route) in table::routes().iter().enumerate() {
        let draft = with(who.request(route.method.clone(), &route.path_to_nothing()));
        let draft = match route.line.body {
            Some(body) => draft.json(&body(n)),
            None => draft,
        };
        let answer = draft.send().await;
        let what = format!("{}: {}", route.key, answer.status);
        if by_a_function(&answer) {
            check(&what, &answer);
            of_functions += 1;
        } else {
            assert_eq!(answer.code(), 401, "only the gateway's refusal is bare: {what}");
            reveals_nothing(&what, &answer);
        }
    }
    app.anonymous().get("/health/ping").await.expect(200);
    of_functions
}

#[tokio::test]
async fn every_answer_says_how_a_browser_is_to_treat_it_and_nothing_about_what_made_it() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    app.leave_unfinished();
    let routes = table::routes().len();
    for origin in ORIGINS {
        let with_origin = |draft: Draft| draft.header("origin", origin);
        let public = walk(&app, &app.anonymous(), with_origin).await;
        assert!(public >= 5, "{public} of {routes}");
        assert_eq!(walk(&app, &app.anonymous().with_token("a.b.c"), with_origin).await, routes);
        let user = app.user_named(&format!("user{}", origin.len())).await;
        assert_eq!(walk(&app, &user, with_origin).await, routes);
        assert_eq!(walk(&app, &app.admin().await, with_origin).await, routes);
    }
    let admin = app.admin().await;
    for (method, path) in
        [(Method::GET, "/no/such/path"), (Method::PATCH, "/auth/login"), (Method::HEAD, "/health/ping")]
    {
        check(path, &admin.request(method, path).send().await);
    }
}

#[tokio::test]
async fn what_holds_a_token_or_anything_of_somebodys_is_kept_by_nobody() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    app.leave_unfinished();
    let user = app.user().await;
    let answers = [
        ("login", user.try_login().await.expect(200)),
        ("refresh", {
            let body = serde_json::json!({"refresh_token": user.refresh_token});
            app.anonymous().post("/auth/refresh", body).await.expect(200)
        }),
    ];
    for (what, answer) in &answers {
        assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    }
    for route in table::routes().iter().filter(|route| route.authorizer.is_some()) {
        let draft = user.request(route.method.clone(), &route.path_to_nothing());
        let answer = match route.line.body {
            Some(body) => draft.json(&body(1)).send().await,
            None => draft.send().await,
        };
        assert_eq!(answer.header("cache-control"), "no-store", "{}", route.key);
    }
}

#[tokio::test]
async fn a_preflight_allows_no_credentials_and_only_what_the_template_lists() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    for route in table::routes() {
        for origin in ORIGINS {
            let draft = app.anonymous().request(Method::OPTIONS, &route.path_to_nothing()).header("origin", origin);
            let draft = draft.header("access-control-request-method", route.method.as_str());
            let draft = draft.header("access-control-request-headers", "authorization, x-auth-user-id, cookie, x-evil");
            let answer = draft.send().await.expect(204);
            reveals_nothing(&route.key, &answer);
            let allowed = answer.header("access-control-allow-headers").to_lowercase();
            for name in ["cookie", "x-auth", "x-evil", "*"] {
                assert!(!allowed.contains(name), "{}: {allowed}", route.key);
            }
        }
    }
}
