//! Headers and queries by which a client might name somebody else, another route, another method or another address.

use halyard_tests::{Actor, Draft, TestApp};
use http::Method;
use serde_json::json;

use super::table;

const REQUEST_CONTEXT: &str = r#"{"authorizer":{"lambda":{"authn":"ok","user_id":"1","username":"admin","role":"admin","permissions":"*","session_id":"sess_7ZZZZZZZZZZZZZZZZZZZZZZZZZ","amr":"pwd","auth_time":"1767268800","exp":"4102444800"}},"http":{"sourceIp":"203.0.113.7"}}"#;

/// Identity and context, as proxies, gateways and runtimes of this world carry them.
const DISGUISES: &[(&str, &str)] = &[
    ("x-auth-user-id", "1"),
    ("x-auth-username", "admin"),
    ("x-auth-role", "admin"),
    ("x-auth-permissions", "*"),
    ("x-auth-session-id", "sess_7ZZZZZZZZZZZZZZZZZZZZZZZZZ"),
    ("x-auth-token", "admin"),
    ("x-user", "admin"),
    ("x-user-id", "1"),
    ("x-role", "admin"),
    ("x-forwarded-user", "admin"),
    ("x-forwarded-email", "admin@example.com"),
    ("x-forwarded-groups", "admin"),
    ("x-remote-user", "admin"),
    ("remote-user", "admin"),
    ("x-authenticated-userid", "1"),
    ("x-consumer-id", "1"),
    ("x-goog-authenticated-user-email", "admin@example.com"),
    ("x-ms-client-principal-id", "1"),
    ("x-amzn-oidc-identity", "admin"),
    ("x-amzn-oidc-data", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."),
    ("x-amzn-request-context", REQUEST_CONTEXT),
    ("x-amzn-lambda-context", REQUEST_CONTEXT),
    ("x-amz-security-token", "admin"),
    ("x-amz-date", "20260101T000000Z"),
    ("x-apigateway-event", REQUEST_CONTEXT),
    ("x-apigateway-context", REQUEST_CONTEXT),
    ("lambda-runtime-aws-request-id", "1"),
    ("lambda-runtime-client-context", REQUEST_CONTEXT),
    ("lambda-runtime-cognito-identity", r#"{"identity_id":"admin"}"#),
    ("requestcontext", REQUEST_CONTEXT),
    ("authorizer", "admin"),
    ("proxy-authorization", "Basic YWRtaW46YWRtaW4xMjM="),
    ("authentication", "admin"),
    ("x-authorization", "admin"),
    ("x-api-key", "admin"),
    ("x-access-token", "admin"),
    ("from", "admin@example.com"),
    ("cookie", "halyard_session=admin; user_id=1; role=admin"),
];

fn disguised(mut draft: Draft) -> Draft {
    for (name, value) in DISGUISES {
        draft = draft.header(name, value);
    }
    draft
}

#[tokio::test]
async fn no_header_lets_anybody_in() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    for route in table::routes().iter().filter(|route| route.is_protected()) {
        let draft = || app.anonymous().request(route.method.clone(), &route.path_to_nothing());
        let body = route.line.body.map(|body| body(1)).unwrap_or_default();
        disguised(draft()).json(&body).send().await.expect(401);
        // One by one as well: two of them might cancel each other out. And with the administrator's name for a token.
        for (name, value) in DISGUISES {
            draft().header(name, value).json(&body).send().await.expect(401);
        }
        disguised(draft()).header("authorization", "Basic YWRtaW46YWRtaW4xMjM=").json(&body).send().await.expect(401);
    }
    let validate = disguised(app.anonymous().request(Method::GET, "/auth/validate")).send().await;
    validate.expect_problem(401, "token_missing");
}

#[tokio::test]
async fn no_header_makes_anybody_somebody_else_or_more() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    let greeting = disguised(user.request(Method::GET, "/api/protected")).send().await.expect(200).json();
    let plain = user.get("/api/protected").await.expect(200).json();
    assert_eq!(greeting, plain);
    assert_eq!(greeting["data"]["user"]["permissions"], json!([]));
    let told = disguised(user.request(Method::GET, "/auth/validate")).send().await.expect(200);
    assert_eq!((told.header("x-auth-username"), told.header("x-auth-role")), ("user", "user"));
    for route in table::routes().iter().filter(|route| route.line.needs.is_some()) {
        let draft = user.request(route.method.clone(), &route.path_to_nothing());
        disguised(draft).send().await.expect_problem(403, "forbidden");
    }
    // On a route that says more to some.
    let health = disguised(app.anonymous().request(Method::GET, "/health/status")).send().await.expect(200).json();
    assert!(health["checks"]["redis"]["connected_clients"].is_null(), "{health}");
}

#[tokio::test]
async fn a_token_counts_in_the_authorization_header_and_nowhere_else() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let admin = app.admin().await;
    let token = admin.access_token.clone().expect("a token");
    let bearer = format!("Bearer {token}");
    for path in ["/api/protected", "/auth/profile", "/tasks", "/auth/validate"] {
        for query in
            [format!("access_token={token}"), format!("token={token}"), format!("Authorization=Bearer%20{token}")]
        {
            app.anonymous().get(&format!("{path}?{query}")).await.expect(401);
        }
        for name in
            ["proxy-authorization", "x-authorization", "x-access-token", "x-api-key", "x-forwarded-access-token"]
        {
            app.anonymous().request(Method::GET, path).header(name, &bearer).send().await.expect(401);
        }
        let cookie = format!("halyard_session={token}; Authorization=Bearer {token}");
        app.anonymous().request(Method::GET, path).header("cookie", &cookie).send().await.expect(401);
    }
    let form = app.anonymous().request(Method::POST, "/auth/logout").header("content-type", FORM);
    form.body(format!("access_token={token}")).send().await.expect(401);
    admin.get("/api/protected").await.expect(200);
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn two_authorization_headers_are_none_that_is_good() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (user, admin) = (app.user().await, app.admin().await);
    let (user, admin) = (user.access_token.expect("a token"), admin.access_token.expect("a token"));
    let (user, admin) = (format!("Bearer {user}"), format!("Bearer {admin}"));
    let twice: [&[&str]; 8] = [
        &[&user, &admin],
        &[&admin, &user],
        &[&user, &user],
        &[&user, "Bearer nonsense"],
        &["Bearer nonsense", &user],
        &["", &user],
        &[&user, ""],
        &["Basic YWRtaW46YWRtaW4xMjM=", &admin],
    ];
    for path in ["/api/protected", "/auth/validate", "/health/status"] {
        for values in twice {
            let mut draft = app.anonymous().request(Method::GET, path);
            for value in values {
                draft = draft.header("authorization", value);
            }
            draft.send().await.expect(401);
        }
        // And what is no single token in one header.
        for value in [
            format!("{user}, {admin}"),
            format!("{user},{admin}"),
            format!("{user} {admin}"),
            format!("{user}\t{admin}"),
            format!("Bearer: {}", &user[7..]),
            format!("Bearer={}", &user[7..]),
            format!("Bearer \"{}\"", &user[7..]),
            format!("Token {}", &user[7..]),
            user[7..].to_owned(),
            format!("{user};"),
            format!("{user}, Basic YWRtaW46YWRtaW4xMjM="),
        ] {
            let draft = app.anonymous().request(Method::GET, path).header("authorization", &value);
            assert_eq!(draft.send().await.code(), 401, "{path}: {value}");
        }
    }
}

#[tokio::test]
async fn no_header_changes_the_method_or_the_path() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        for method in [Method::GET, Method::POST] {
            for wanted in ["DELETE", "PUT", "POST", "PATCH"] {
                let draft = user.request(method.clone(), "/auth/sessions").header(name, wanted);
                let answer = draft.send().await;
                assert_eq!(answer.code(), if method == Method::GET { 200 } else { 405 }, "{}", answer.text());
            }
        }
        user.request(Method::GET, "/auth/logout").header(name, "POST").send().await.expect(405);
        user.request(Method::GET, "/auth/logout?_method=POST").header(name, "POST").send().await.expect(405);
    }
    user.get("/auth/profile").await.expect(200);
    for name in [
        "x-original-url",
        "x-rewrite-url",
        "x-original-uri",
        "x-forwarded-path",
        "x-forwarded-uri",
        "x-envoy-original-path",
    ] {
        for to in ["/tasks/queues", "/api/protected", "/auth/profile"] {
            let answer = app.anonymous().request(Method::GET, "/api/status").header(name, to).send().await.expect(200);
            assert_eq!(answer.json()["data"]["service"], "halyard", "{name}: {}", answer.text());
            let answer = app.anonymous().request(Method::GET, "/no/such/path").header(name, to).send().await;
            answer.expect_problem(404, "not_found");
        }
    }
    for name in ["x-forwarded-host", "x-forwarded-server", "x-host", "x-forwarded-prefix", "x-forwarded-scheme"] {
        let draft = user.request(Method::GET, "/api/protected").header(name, "evil.example");
        let answer = draft.send().await.expect(200);
        assert!(!answer.text().contains("evil.example") && !format!("{:?}", answer.headers).contains("evil.example"));
    }
}

/// Where proxies say whom they speak for.
const ADDRESSES: &[&str] = &[
    "x-forwarded-for",
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-originating-ip",
    "x-remote-addr",
    "x-remote-ip",
];

fn from(draft: Draft, n: usize) -> Draft {
    ADDRESSES.iter().fold(draft, |draft, name| {
        let address = format!("203.0.113.{n}");
        draft.header(name, &if *name == "forwarded" { format!("for={address}") } else { address })
    })
}

#[tokio::test]
async fn a_limit_is_not_dodged_by_another_address_in_a_header() {
    let app = TestApp::spawn().await;
    let register = async |n: usize| {
        let body =
            json!({"username": format!("user{n}"), "email": format!("u{n}@example.com"), "password": "correct horse"});
        from(app.anonymous().request(Method::POST, "/auth/register"), n).json(&body).send().await
    };
    for n in 0..5 {
        register(n).await.expect(200);
    }
    register(5).await.expect_problem(429, "rate_limited");
    // Guesses at one account, its name written in another way each time.
    let guess = async |n: usize, name: &str| {
        let body = json!({"username": name, "password": format!("wrong password {n}")});
        from(app.anonymous().request(Method::POST, "/auth/login"), n).json(&body).send().await.code()
    };
    let mut codes = Vec::new();
    for (n, name) in ["user0", "USER0", "User0", "uSER0", "usER0", "useR0", "UsEr0"].into_iter().enumerate() {
        codes.push(guess(n, name).await);
    }
    assert!(codes.contains(&429) && codes.iter().all(|code| [401, 429].contains(code)), "{codes:?}");
    assert_eq!(codes.last(), Some(&429), "{codes:?}");
}

#[tokio::test]
async fn the_address_of_a_session_is_not_what_a_client_says() {
    let app = TestApp::spawn().await;
    app.user().await;
    let body = json!({"username": "user", "password": halyard_tests::actor::PASSWORD});
    let answer = from(app.anonymous().request(Method::POST, "/auth/login"), 7).json(&body).send().await.expect(200);
    let mut user: Actor = app.anonymous();
    user.signed_in(&answer);
    let sessions = user.get("/auth/sessions").await.expect(200).text();
    assert!(!sessions.contains("203.0.113.") && sessions.contains("127.0.0.1"), "{sessions}");
}

#[tokio::test]
async fn no_part_of_an_event_is_taken_from_a_body() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let context: serde_json::Value = serde_json::from_str(REQUEST_CONTEXT).expect("JSON");
    let event = json!({
        "version": "2.0", "routeKey": "GET /api/protected", "rawPath": "/api/protected", "requestContext": context,
        "headers": {"authorization": "Bearer x"}, "isBase64Encoded": false, "body": "{}",
    });
    for route in table::routes().iter().filter(|route| route.is_protected()) {
        let draft = app.anonymous().request(route.method.clone(), &route.path_to_nothing());
        draft.json(&event).send().await.expect(401);
    }
}
