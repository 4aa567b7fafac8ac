//! Answers that NGINX makes itself, and headers of all.

use std::{io::Write as _, process::Stdio};

use halyard_tests::{Nginx, ScriptedNode, TestResponse, scripted_node::answer};
use http::Method;
use serde_json::json;

use super::app_and_nginx;

fn once(answer: &TestResponse, name: &str) -> String {
    let values: Vec<_> = answer.headers.get_all(name).iter().map(|v| v.to_str().expect("text")).collect();
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    values[0].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_each_of_the_common_headers_once() {
    let (app, nginx) = app_and_nginx(&[]).await;
    let user = nginx.anonymous().with_token(app.user().await.access_token.as_deref().expect("a token"));
    let nobody = nginx.anonymous();
    for (who, method, path, code) in [
        (&user, Method::GET, "/api/protected", 200),
        (&user, Method::GET, "/no/such/path", 404),
        (&nobody, Method::GET, "/api/status", 200),
        (&nobody, Method::GET, "/api/protected", 401),
        // The gateway's own, bare.
        (&nobody, Method::OPTIONS, "/api/status", 204),
    ] {
        let mut draft = who.request(method.clone(), path);
        if method == Method::OPTIONS {
            draft = draft.header("origin", "https://page.example").header("access-control-request-method", "GET");
        }
        let answer = draft.send().await.expect(code);
        assert_eq!(once(&answer, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(once(&answer, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(once(&answer, "strict-transport-security"), "max-age=31536000; includeSubDomains", "{path}");
        assert_eq!(once(&answer, "content-security-policy"), "default-src 'none'; frame-ancestors 'none'", "{path}");
        assert_eq!(once(&answer, "cache-control"), "no-store", "{path}");
        assert!(once(&answer, "traceparent").starts_with("00-"), "{path}");
        assert!(once(&answer, "x-request-id").len() >= 8, "{path}");
        assert!(!answer.header("server").contains('/'), "{path}: no version is shown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_in_an_answer_that_nginx_makes() {
    let (_app, nginx) = app_and_nginx(&[]).await;
    let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace = async |traceparent: &str| {
        let draft = nginx.anonymous().request(Method::GET, "/api/protected").header("traceparent", traceparent);
        once(&draft.send().await.expect(401), "traceparent")
    };
    let answered = trace(sent).await;
    assert!(answered.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{answered}");
    assert_ne!(answered, sent);
    for broken in ["00-00000000000000000000000000000000-b7ad6b7169203331-01", "nonsense", ""] {
        let answered = trace(broken).await;
        let fields: Vec<&str> = answered.split('-').collect();
        assert_eq!(fields.iter().map(|f| f.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{answered}");
        assert!(!fields[1].bytes().all(|b| b == b'0'), "{answered}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_can_read_what_nginx_refuses() {
    let (_app, nginx) = app_and_nginx(&[]).await;
    let ask = async |nginx: &Nginx, origin: &str| {
        let draft = nginx.anonymous().request(Method::GET, "/api/protected").header("origin", origin);
        draft.send().await.expect(401).header("access-control-allow-origin").to_owned()
    };
    assert_eq!(ask(&nginx, "https://page.example").await, "*");
    assert_eq!(nginx.anonymous().get("/api/protected").await.header("access-control-allow-origin"), "");
    let node = ScriptedNode::answering(200, "", "{}");
    let listed = Nginx::before(&[node.address()], &[("CORS_ORIGINS", "https://page.example,https://other.example")]);
    assert_eq!(ask(&listed, "https://page.example").await, "https://page.example");
    assert_eq!(ask(&listed, "https://evil.example").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_have_ten_mebibytes_here_as_in_the_gateway() {
    let (app, nginx) = app_and_nginx(&[]).await;
    let admin = nginx.anonymous().with_token(app.admin().await.access_token.as_deref().expect("a token"));
    let post = async |size: usize| admin.request(Method::POST, "/tasks/submit").body(vec![b' '; size]).send().await;
    let refused = post(10 * 1024 * 1024 + 1).await.expect_problem(413, "payload_too_large");
    assert_eq!(refused.json()["request_id"], refused.header("x-request-id"));
    // At the limit it is Lambda's that refuses, in the gateway's words.
    assert_eq!(post(10 * 1024 * 1024).await.expect(413).json(), json!({"message": "Request Too Long"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_a_problem_too() {
    let (_app, nginx) = app_and_nginx(&[]).await;
    let nobody = nginx.anonymous();
    let long = "x".repeat(20_000);
    let refused = nobody.request(Method::GET, "/api/status").header("x-long", &long).send().await;
    refused.expect_problem(431, "headers_too_large");
    // More than the gateway takes and less than NGINX does: its own words.
    let refused = nobody.request(Method::GET, "/api/status").header("x-long", &long[..11_000]).send().await;
    assert_eq!(refused.expect(431).json(), json!({"message": "Request Header Fields Too Large"}));
    nobody.get(&format!("/api/status?{long}")).await.expect_problem(414, "uri_too_long");
    let refused = nobody.request(Method::GET, "/api/status").header("host", "a b").send().await;
    refused.expect_problem(400, "bad_request");
    // What is no HTTP at all ends with an answer, too.
    let site = nginx.site();
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["s_client", "-quiet", "-connect", &site.https.to_string(), "-CAfile"]).arg(site.certificate());
    let mut openssl =
        openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("openssl");
    openssl.stdin.take().expect("a pipe").write_all(b"GARBAGE\r\n\r\n").expect("it listens");
    let said = openssl.wait_with_output().expect("an answer").stdout;
    let said = String::from_utf8_lossy(&said);
    assert!(said.starts_with("HTTP/1.1 400 ") && said.contains("\"error\":\"bad_request\""), "{said}");
    // What cannot stand in JSON is left out of it.
    let quoted = nobody.get("/tasks/status/%22'\"").await;
    let quoted = quoted.expect_problem(401, "token_missing");
    assert!(["", "/tasks/status/%22'\""].contains(&quoted.json()["instance"].as_str().expect("text")));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_compressed_once() {
    let page = "<p>a paragraph</p>".repeat(200);
    let html = answer(200, "content-type: text/html\r\n", &page);
    let node = ScriptedNode::start(Box::new(move |_| Some(html.clone())));
    let nginx = Nginx::before(&[node.address()], &[]);
    let ask = async |nginx: &Nginx, path: &str| {
        nginx.anonymous().request(Method::GET, path).header("accept-encoding", "gzip").send().await.expect(200)
    };
    // What comes plain is compressed here.
    let packed = ask(&nginx, "/dashboard").await;
    assert_eq!(once(&packed, "content-encoding"), "gzip");
    assert_eq!(once(&packed, "vary").to_lowercase(), "accept-encoding");
    assert!(packed.body.len() < page.len() / 4);
    assert_eq!(nginx.anonymous().get("/dashboard").await.expect(200).text(), page);
    // What comes compressed is left alone.
    let (app, nginx) = app_and_nginx(&[]).await;
    let admin = nginx.anonymous().with_token(app.admin().await.access_token.as_deref().expect("a token"));
    let types = admin.request(Method::GET, "/tasks/types").header("accept-encoding", "gzip").send().await.expect(200);
    assert_eq!(once(&types, "content-encoding"), "gzip");
    assert_eq!(once(&types, "vary").to_lowercase(), "accept-encoding");
    let mut plain = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&types.body[..]), &mut plain).expect("gzip, once");
    assert!(plain.contains("\"status\":\"success\""), "{plain}");
}
