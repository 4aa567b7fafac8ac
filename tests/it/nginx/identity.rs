//! What nodes are told of a request, and what they believe.

use std::net::SocketAddr;

use halyard_tests::{Actor, Nginx, ScriptedNode, TestApp, logs::Captured, nginx};
use http::Method;
use serde_json::json;

use super::app_and_nginx;

/// What a client might send to be taken for somebody else.
const DISGUISES: &[(&str, &str)] = &[
    ("x-auth-user-id", "1"),
    ("x-auth-username", "admin"),
    ("x-auth-role", "admin"),
    ("x-auth-permissions", "*"),
    ("x-auth-api-key-id", "key_01J00000000000000000000000"),
    ("x-auth-session-id", "11111111-1111-1111-1111-111111111111"),
    ("x-auth-error", "no"),
    ("x-auth-user", "admin"),
    ("x-auth-request-user", "admin"),
    ("x-forwarded-user", "admin"),
    ("x-remote-user", "admin"),
    ("remote-user", "admin"),
    ("x-real-ip", "203.0.113.7"),
    ("forwarded", "for=203.0.113.7"),
    ("x-forwarded-host", "evil.example"),
    ("upgrade", "websocket"),
    ("proxy", "evil.example"),
];

fn validating_node() -> ScriptedNode {
    ScriptedNode::answering(200, "x-auth-user-id: 7\r\nx-auth-role: admin\r\n", "{}")
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_headers_of_a_client_end_here_and_those_of_the_filter_do_too() {
    let node = validating_node();
    let nginx = Nginx::before(&[node.address()], &[]);
    for path in ["/api/protected", "/api/status", "/dashboard"] {
        let mut draft = nginx.anonymous().with_token("a.b.c").request(Method::GET, path);
        for (name, value) in DISGUISES {
            draft = draft.header(name, value);
        }
        let draft = draft.header("x-forwarded-for", "203.0.113.7, 10.0.0.1").header("x-forwarded-proto", "gopher");
        draft.header("cookie", "theme=dark").header("if-match", "\"1\"").send().await.expect(200);
    }
    for path in ["/api/protected", "/api/status", "/dashboard", "/auth/validate"] {
        let requests = node.requests(path);
        assert_eq!(requests.len(), 1, "{path}");
        let request = &requests[0];
        for (name, _) in DISGUISES {
            assert_eq!(request.header(name), None, "{path}: {name}");
        }
        assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"), "{path}");
        assert_eq!(request.header("x-forwarded-proto"), Some("https"), "{path}");
    }
    // Everything else arrives, and the filter is shown no more than it needs.
    let request = &node.requests("/api/protected")[0];
    assert_eq!(request.header("cookie"), Some("theme=dark"));
    assert_eq!(request.header("if-match"), Some("\"1\""));
    assert_eq!(request.header("authorization"), Some("Bearer a.b.c"));
    assert_eq!(node.requests("/auth/validate")[0].header("cookie"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disguise_changes_nothing_about_who_the_caller_is() {
    let (app, nginx) = app_and_nginx(&[]).await;
    let user = nginx.anonymous().with_token(app.user().await.access_token.as_deref().expect("a token"));
    let mut draft = user.request(Method::GET, "/api/protected");
    for (name, value) in &DISGUISES[..6] {
        draft = draft.header(name, value);
    }
    assert_eq!(draft.send().await.expect(200).json()["data"]["user"]["username"], "user");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_id_stands_in_the_answer_in_both_logs_and_in_the_problem() {
    let captured = Captured::start();
    let (app, nginx) = app_and_nginx(&[]).await;
    let user = nginx.anonymous().with_token(app.user().await.access_token.as_deref().expect("a token"));
    let in_function =
        |id: &str| captured.lines().iter().filter(|l| l.contains(&format!("\"request_id\":\"{id}\""))).count();
    // The client's, when it is well formed.
    let answer = user.request(Method::GET, "/api/protected").header("x-request-id", "from-the.client_1").send().await;
    assert_eq!(answer.expect(200).header("x-request-id"), "from-the.client_1");
    assert!(in_function("from-the.client_1") >= 2, "the filter's question and the request");
    let line = nginx.log_with(|l| l["request_id"] == "from-the.client_1").await;
    assert_eq!(
        (&line["status"], &line["path"], &line["filter"]),
        (&json!(200), &json!("/api/protected"), &json!("200"))
    );
    assert_eq!(line["upstream"], app.address().to_string());
    assert_ne!(line["user_id"], "", "{line}");
    // Else one that is made here.
    for (sent, path, code) in
        [("short", "/api/status", 200), ("with space and \"quotes\"", "/no/such/path", 404), ("", "/api/status", 200)]
    {
        let answer = user.request(Method::GET, path).header("x-request-id", sent).send().await.expect(code);
        let id = answer.header("x-request-id").to_owned();
        assert!(id.len() == 32 && id != sent, "{id}");
        assert_eq!(in_function(&id), 1, "{id}");
        assert_eq!(nginx.log_with(|l| l["request_id"] == id.as_str()).await["status"], code);
    }
    // Also when the gateway makes the answer, or NGINX does.
    let refused =
        nginx.anonymous().request(Method::GET, "/api/protected").header("x-request-id", "a-refused-one").send().await;
    assert_eq!(refused.expect(401).json()["request_id"], "a-refused-one");
    let line = nginx.log_with(|l| l["request_id"] == "a-refused-one").await;
    assert_eq!((&line["status"], &line["upstream"]), (&json!(401), &json!("")));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credential_and_no_query_reaches_the_logs() {
    let (app, nginx) = app_and_nginx(&[("ERROR_LEVEL", "info")]).await;
    let token = app.user().await.access_token.expect("a token");
    let user = nginx.anonymous().with_token(&token);
    let draft = user.request(Method::GET, "/api/protected?secret=in-the-query");
    draft.header("cookie", "halyard_session=in-the-cookie").header("x-request-id", "the-last-one").send().await;
    nginx.log_with(|l| l["request_id"] == "the-last-one").await;
    let log = std::fs::read_to_string(nginx.site().path("conf/run/access.log")).expect("a log");
    for secret in [token.rsplit('.').next().expect("a signature"), "in-the-query", "in-the-cookie"] {
        assert!(!log.contains(secret), "{log}");
    }
    assert!(!nginx.complaints().contains(token.rsplit('.').next().expect("a signature")));
}

/// The address that a new session was made from, signed in over HTTP from this address of the loopback network.
async fn session_address(app: &TestApp, from: &str, to: SocketAddr, tls: Option<&Nginx>, forwarded: &str) -> String {
    let mut curl = std::process::Command::new("curl");
    curl.args(["-sS", "--interface", from, "-H", "content-type: application/json"]);
    curl.args(["-H", &format!("x-forwarded-for: {forwarded}"), "-d", r#"{"username":"admin","password":"admin123"}"#]);
    let scheme = if let Some(nginx) = tls {
        curl.arg("--cacert").arg(nginx.site().certificate());
        "https"
    } else {
        "http"
    };
    let url = format!("{scheme}://{to}/auth/login");
    let output = tokio::task::spawn_blocking(move || curl.arg(url).output().expect("curl")).await.expect("curl");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    let user = app.anonymous().with_token(answer["data"]["access_token"].as_str().expect("a token"));
    let sessions = user.get("/auth/sessions").await.expect(200).json();
    let items =
        sessions["data"]["items"].as_array().or(sessions["data"]["sessions"].as_array()).expect("sessions").clone();
    let current = items.iter().find(|s| s["current"] == true).unwrap_or_else(|| panic!("{sessions}"));
    current["ip"].as_str().unwrap_or_else(|| panic!("{current}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_address_is_believed_from_nginx_alone() {
    let (app, nginx) = app_and_nginx(&[]).await;
    let (front, back) = (nginx.site().https, app.address());
    // Through NGINX it is the address that the connection came from, whatever the client says of itself.
    assert_eq!(session_address(&app, "127.0.0.2", front, Some(&nginx), "203.0.113.7").await, "127.0.0.2");
    // A stranger who finds the node speaks for nobody.
    assert_eq!(session_address(&app, "127.0.0.3", back, None, "203.0.113.7").await, "127.0.0.3");
    // A proxy in front of NGINX may speak, once it is named, and a client through it may not.
    let trusting = Nginx::before(&[back], &[("TRUSTED", "127.0.0.2")]);
    let front = trusting.site().https;
    assert_eq!(
        session_address(&app, "127.0.0.2", front, Some(&trusting), "198.51.100.1, 203.0.113.7").await,
        "203.0.113.7"
    );
    assert_eq!(session_address(&app, "127.0.0.4", front, Some(&trusting), "203.0.113.7").await, "127.0.0.4");
    assert!(std::path::Path::new(nginx::program()).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_counts_for_nothing_on_a_bearer_route() {
    let (app, nginx) = app_and_nginx(&[]).await;
    let token = app.admin().await.access_token.expect("a token");
    let nobody: Actor = nginx.anonymous();
    let draft = nobody.request(Method::GET, "/api/protected").header("cookie", &format!("halyard_session={token}"));
    draft.send().await.expect_problem(401, "token_missing");
}
