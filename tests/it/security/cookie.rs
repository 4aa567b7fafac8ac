//! The dashboard's cookie: good for routes of the cookie authorizer, and for nothing else (no cross-site requests).
//! No page is served yet; one route is put behind the cookie authorizer here.

use halyard_tests::{Actor, TestApp, TestResponse};
use http::Method;

use super::table;

async fn with_a_page() -> TestApp {
    let app = TestApp::builder().without_rate_limits();
    app.authorized_by("ProtectedRoute", "CookieAuthorizer").spawn().await
}

fn token(user: &Actor) -> &str {
    user.access_token.as_deref().expect("a token")
}

async fn page(app: &TestApp, headers: &[(&'static str, &str)]) -> TestResponse {
    let mut draft = app.anonymous().request(Method::GET, "/api/protected");
    for (name, value) in headers {
        draft = draft.header(name, value);
    }
    draft.send().await
}

/// They speak of administrators, to everybody.
const SAME_FOR_ALL: [&str; 2] = ["GET /openapi.json", "GET /docs"];

#[tokio::test]
async fn no_bearer_route_is_reached_by_a_cookie() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let admin = app.admin().await;
    for route in table::routes().iter().filter(|route| route.authorizer.as_deref() != Some("cookie")) {
        let draft = || {
            let draft = app.anonymous().request(route.method.clone(), &route.path_to_nothing());
            let cookie =
                format!("halyard_session={0}; session={0}; token={0}; Authorization=Bearer {0}", token(&admin));
            let draft = draft.header("cookie", &cookie).header("origin", "https://evil.example");
            match route.line.body {
                Some(body) => draft.json(&body(1)),
                None => draft,
            }
        };
        let with_cookie = draft().send().await;
        if route.is_protected() {
            assert_eq!(with_cookie.code(), 401, "{}: {}", route.key, with_cookie.text());
            // A credential that is bad is not made good by a cookie that is.
            draft().header("authorization", "Bearer a.b.c").send().await.expect(401);
        } else if !SAME_FOR_ALL.contains(&route.key.as_str()) {
            assert!(!with_cookie.text().contains("admin"), "{}: {}", route.key, with_cookie.text());
        }
    }
    let draft = app.anonymous().request(Method::GET, "/health/status");
    let health = draft.header("cookie", &format!("halyard_session={}", token(&admin))).send().await.expect(200);
    assert!(health.json()["checks"]["redis"]["connected_clients"].is_null(), "{}", health.text());
}

#[tokio::test]
async fn a_page_takes_the_cookie_and_no_authorization_header() {
    let app = with_a_page().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let name = |answer: TestResponse| answer.expect(200).json()["data"]["user"]["username"].clone();
    let (cookie, bearer) = (format!("halyard_session={}", token(&user)), format!("Bearer {}", token(&admin)));
    assert_eq!(name(page(&app, &[("cookie", &cookie)]).await), "user");
    assert_eq!(name(page(&app, &[("cookie", &format!("theme=dark; {cookie}; lang=de"))]).await), "user");
    // The header neither replaces the cookie nor outranks it.
    page(&app, &[("authorization", &bearer)]).await.expect(401);
    assert_eq!(name(page(&app, &[("cookie", &cookie), ("authorization", &bearer)]).await), "user");
    for other in ["theme=dark", "halyard_session=", "halyard_session=a.b.c", "halyard_session"] {
        page(&app, &[("cookie", other), ("authorization", &bearer)]).await.expect_problem_401();
    }
    // A header that repeats the whole of `Cookie` is the gateway's key for neither.
    let answer = page(&app, &[("cookie", &bearer), ("authorization", &bearer)]).await;
    assert_eq!(answer.code(), 401, "{}", answer.text());
    page(&app, &[("cookie", &bearer)]).await.expect_problem_401();
}

#[tokio::test]
async fn only_the_cookie_of_that_name_counts_and_of_two_the_first() {
    let app = with_a_page().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let (user, admin) = (token(&user), token(&admin));
    for other in [
        format!("HALYARD_SESSION={admin}"),
        format!("halyard_session_={admin}"),
        format!("xhalyard_session={admin}"),
        format!("__Host-halyard_session={admin}"),
        format!("halyard_session%3D{admin}"),
        format!("halyard_session,{admin}"),
        format!("a=b, halyard_session={admin}"),
        format!("a=\"; halyard_session_x={admin}\""),
        format!("halyard_session=Bearer {admin}"),
        format!("halyard_session={admin},{user}"),
        format!("halyard_session={admin} {user}"),
        format!("$Version=1; $halyard_session={admin}"),
    ] {
        page(&app, &[("cookie", &other)]).await.expect_problem_401();
    }
    // A cookie that a neighbouring host has planted stands behind or before: one of them decides, never both.
    for (first, second, expected) in [(user, admin, 200), (user, "nonsense", 200), ("nonsense", admin, 401)] {
        let both = format!("halyard_session={first}; halyard_session={second}");
        let answer = page(&app, &[("cookie", &both)]).await;
        assert_eq!(answer.code(), expected, "{}", answer.text());
        assert!(!answer.text().contains("admin"), "{}", answer.text());
    }
    let refresh = app.user_named("maria").await.refresh_token.expect("a token");
    page(&app, &[("cookie", &format!("halyard_session={refresh}"))]).await.expect_problem_401();
}

#[tokio::test]
async fn a_cookie_ends_with_its_session() {
    let app = with_a_page().await;
    let user = app.user().await;
    let cookie = format!("halyard_session={}", token(&user));
    page(&app, &[("cookie", &cookie)]).await.expect(200);
    user.post("/auth/logout", serde_json::json!({})).await.expect(200);
    app.advance(chrono::Duration::seconds(11));
    page(&app, &[("cookie", &cookie)]).await.expect_problem(401, "token_revoked");
}

trait Expect401 {
    fn expect_problem_401(self);
}

impl Expect401 for TestResponse {
    #[track_caller]
    fn expect_problem_401(self) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        self.expect(401);
    }
}
