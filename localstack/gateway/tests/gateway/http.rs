//! Requests through the gateway: authorizers, limits, bare answers, the socket.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::Request as AxumRequest,
    http::{Request, Response},
    response::IntoResponse,
    routing::{any, get},
};
use halyard_gateway::RunningGateway;
use halyard_platform::{
    Function,
    function::{AuthorizerRequest, AuthorizerResponse, FunctionError},
};
use lambda_http::request::RequestContext;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Fixture, SOON, authorizer, plain};

/// Tells the client what reached it.
async fn echo(request: AxumRequest) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let context = match parts.extensions.get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => serde_json::to_value(context).expect("JSON"),
        other => panic!("no context: {other:?}"),
    };
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let seen = json!({
        "method": parts.method.as_str(),
        "uri": parts.uri.to_string(),
        "context": context,
        "forwarded": header("x-forwarded-for"),
        "length": body.len(),
    });
    ([("access-control-allow-origin", "https://evil.example.com"), ("etag", "\"1\"")], Json(seen))
}

fn web() -> Function {
    let router = Router::new()
        .route("/open/large", get(|| async { Bytes::from(vec![b'x'; 6_300_000]) }))
        .route("/open/hang", get(std::future::pending::<()>))
        .route("/hasty", get(std::future::pending::<()>))
        .fallback(any(echo));
    Function::Http(router)
}

type Asked = Arc<Mutex<Vec<AuthorizerRequest>>>;

/// Allows `Bearer good...`, denies `Bearer bad`, fails at `Bearer error`; without identity it is asked by `optional`.
fn guarded(fixture: Fixture) -> (Fixture, Asked) {
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    let fixture = fixture.with("web", web).with("guard", move || {
        let log = Arc::clone(&log);
        authorizer(move |request: AuthorizerRequest| {
            let identity = request.identity_source.as_ref().map(|values| values.join("|"));
            log.lock().expect("no panic").push(request);
            async move {
                let mut answer = AuthorizerResponse::default();
                match identity.as_deref() {
                    Some("Bearer error") => return Err(FunctionError("the store is away".to_owned())),
                    Some("Bearer bad") => {}
                    who => {
                        answer.is_authorized = true;
                        answer.context = json!({ "who": who.unwrap_or("nobody"), "n": 1 });
                    }
                }
                Ok(answer)
            }
        })
    });
    (fixture, asked)
}

fn get_with(path: &str, headers: &[(&str, &str)]) -> Request<Bytes> {
    let mut request = Request::get(path).header("host", "localhost:8080");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Bytes::new()).expect("a request")
}

async fn bearer(gateway: &RunningGateway, path: &str, token: &str) -> (u16, Value) {
    split(&gateway.request(get_with(path, &[("Authorization", &format!("Bearer {token}"))])).await)
}

fn split(response: &Response<Bytes>) -> (u16, Value) {
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap_or_default())
}

fn bare(status: u16, message: &str) -> (u16, Value) {
    (status, json!({ "message": message }))
}

#[tokio::test]
async fn without_identity_401_denied_403_failed_500_and_all_of_them_bare() {
    let (fixture, asked) = guarded(Fixture::new());
    let gateway = fixture.start().await;
    let nobody = gateway.request(get_with("/guarded/1", &[])).await;
    assert_eq!(split(&nobody), bare(401, "Unauthorized"));
    assert_eq!(nobody.headers()["content-type"], "application/json");
    assert_eq!(split(&gateway.request(get_with("/guarded/1", &[("Authorization", "")])).await).0, 401);
    assert!(asked.lock().expect("no panic").is_empty(), "nobody was asked");
    assert_eq!(bearer(&gateway, "/guarded/1", "bad").await, bare(403, "Forbidden"));
    assert_eq!(bearer(&gateway, "/guarded/1", "error").await, bare(500, "Internal Server Error"));
    let (status, seen) = bearer(&gateway, "/guarded/a%2Fb?x=1", "good").await;
    assert_eq!((status, &seen["context"]["authorizer"]["lambda"]), (200, &json!({ "who": "Bearer good", "n": 1 })));
    let asked = asked.lock().expect("no panic");
    let last = asked.last().expect("it was asked");
    assert_eq!(
        last.route_arn.as_deref(),
        Some("arn:aws:execute-api:us-east-1:000000000000:Api/$default/GET/guarded/a%2Fb")
    );
    assert_eq!(last.path_parameters["id"], "a/b");
    assert_eq!(last.route_key.as_deref(), Some("GET /guarded/{id}"));
}

#[tokio::test]
async fn answers_of_an_authorizer_are_kept_for_the_ttl_across_routes_denials_too_errors_never() {
    let (fixture, asked) = guarded(Fixture::new());
    let clock = Arc::clone(&fixture.clock);
    let gateway = fixture.start().await;
    let count = || asked.lock().expect("no panic").len();
    for path in ["/guarded/1", "/guarded/2", "/also-guarded"] {
        assert_eq!(bearer(&gateway, path, "good").await.0, 200);
        assert_eq!(bearer(&gateway, path, "bad").await.0, 403);
    }
    assert_eq!(count(), 2);
    for expected in 3..=5 {
        assert_eq!(bearer(&gateway, "/guarded/1", "error").await.0, 500);
        assert_eq!(count(), expected);
    }
    bearer(&gateway, "/guarded/1", "good two").await;
    assert_eq!(count(), 6, "another token is another key");
    clock.advance(chrono::Duration::milliseconds(4_999));
    bearer(&gateway, "/guarded/1", "good").await;
    assert_eq!(count(), 6);
    clock.advance(chrono::Duration::milliseconds(1));
    bearer(&gateway, "/guarded/1", "good").await;
    assert_eq!(count(), 7, "the TTL has passed");
    gateway.reset_authorizers();
    bearer(&gateway, "/guarded/1", "good").await;
    assert_eq!(count(), 8);
}

#[tokio::test]
async fn an_authorizer_without_identity_sources_is_asked_every_time() {
    let (fixture, asked) = guarded(Fixture::new());
    let gateway = fixture.start().await;
    for _ in 0..3 {
        let (status, seen) = split(&gateway.request(get_with("/optional", &[])).await);
        assert_eq!((status, &seen["context"]["authorizer"]["lambda"]["who"]), (200, &json!("nobody")));
    }
    assert_eq!(asked.lock().expect("no panic").len(), 3);
    assert!(asked.lock().expect("no panic").iter().all(|request| request.identity_source.is_none()));
}

#[tokio::test]
async fn many_at_once_with_one_token_ask_once() {
    let (fixture, asked) = guarded(Fixture::managed(64));
    let gateway = fixture.start().await;
    let all = (0..50).map(|_| bearer(&gateway, "/guarded/1", "good"));
    assert!(futures::future::join_all(all).await.iter().all(|(status, _)| *status == 200));
    assert_eq!(asked.lock().expect("no panic").len(), 1);
}

#[tokio::test]
async fn bodies_above_the_limits_are_refused() {
    let (fixture, _) = guarded(Fixture::new());
    let gateway = fixture.start().await;
    let post = |length: usize, content_type: &'static str| {
        let body = Bytes::from(vec![b'a'; length]);
        Request::post("/open/x").header("content-type", content_type).body(body).expect("a request")
    };
    let answer = |request| async { split(&gateway.request(request).await) };
    assert_eq!(answer(post(10 * 1024 * 1024 + 1, "text/plain")).await, bare(413, "Request Entity Too Large"));
    assert_eq!(answer(post(6_300_000, "text/plain")).await, bare(413, "Request Too Long"));
    // Base64 makes it a third larger.
    assert_eq!(answer(post(4_800_000, "application/zip")).await, bare(413, "Request Too Long"));
    let (status, seen) = answer(post(4_500_000, "application/zip")).await;
    assert_eq!((status, &seen["length"]), (200, &json!(4_500_000)));
    let large = gateway.request(get_with("/open/large", &[])).await;
    assert_eq!(split(&large), bare(500, "Internal Server Error"));
    let wide = get_with("/open/x", &[("x-wide", &"w".repeat(10_300))]);
    assert_eq!(answer(wide).await, bare(431, "Request Header Fields Too Large"));
}

#[tokio::test]
async fn what_a_function_cannot_answer_the_gateway_answers() {
    let (fixture, _) = guarded(Fixture::new());
    let fixture = fixture.with("tick", || {
        plain(|event: Value| async move {
            match event["body"].as_str() {
                Some("error") => Err(FunctionError("no".to_owned())),
                Some("panic") => panic!("as asked"),
                Some("odd") => Ok(json!({ "statusCode": "odd" })),
                Some(body) => Ok(json!({ "statusCode": 201, "body": body, "cookies": ["a=1"] })),
                None => Ok(json!({ "inferred": true })),
            }
        })
    });
    let gateway = fixture.start().await;
    let post = |body: &'static str| {
        gateway.request(
            Request::post("/plain").header("content-type", "text/plain").body(Bytes::from(body)).expect("a request"),
        )
    };
    for body in ["error", "panic", "odd"] {
        assert_eq!(split(&post(body).await), bare(500, "Internal Server Error"), "{body}");
    }
    let answer = post("hello").await;
    assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (201, b"hello".as_slice()));
    assert_eq!(answer.headers()["set-cookie"], "a=1");
    assert!(answer.headers().contains_key("apigw-requestid"));
    assert_eq!(split(&post("").await), (200, json!({ "inferred": true })));
    let late = gateway.request(get_with("/hasty", &[])).await;
    assert_eq!(split(&late), bare(503, "Service Unavailable"));
    let nowhere = gateway.request(get_with("/nowhere", &[])).await;
    assert_eq!(split(&nowhere), bare(404, "Not Found"));
    let two_hosts = get_with("/open/x", &[("host", "localhost")]);
    assert_eq!(split(&gateway.request(two_hosts).await), bare(400, "Bad Request"));
    let odd = Request::get("/open/x").header("host", "a b").body(Bytes::new()).expect("a request");
    assert_eq!(split(&gateway.request(odd).await), bare(400, "Bad Request"));
}

#[tokio::test]
async fn when_every_environment_is_busy_the_answer_is_503() {
    let (fixture, _) = guarded(Fixture::new());
    let gateway = Arc::new(fixture.start().await);
    let busy: Vec<_> = (0..3)
        .map(|_| {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move { gateway.request(get_with("/open/hang", &[])).await })
        })
        .collect();
    while gateway.environments("Web") < 3 {
        tokio::task::yield_now().await;
    }
    let refused = gateway.request(get_with("/open/x", &[])).await;
    assert_eq!(split(&refused), bare(503, "Service Unavailable"));
    busy.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_throttled_route_answers_429_and_others_do_not_suffer() {
    let (fixture, _) = guarded(Fixture::new());
    let gateway = fixture.start().await;
    for expected in [200, 200, 429, 429] {
        let answer = gateway.request(get_with("/rare", &[])).await;
        assert_eq!(answer.status(), expected);
    }
    assert_eq!(split(&gateway.request(get_with("/rare", &[])).await), bare(429, "Too Many Requests"));
    assert_eq!(gateway.request(get_with("/open/x", &[])).await.status(), 200);
}

#[tokio::test]
async fn preflights_are_answered_and_answers_decorated_by_the_template() {
    let (fixture, _) = guarded(Fixture::new());
    let gateway = fixture.start().await;
    let preflight = |origin: &str| {
        let request =
            Request::options("/guarded/1").header("origin", origin).header("access-control-request-method", "GET");
        gateway.request(request.body(Bytes::new()).expect("a request"))
    };
    let allowed = preflight("https://app.example.com").await;
    assert_eq!((allowed.status().as_u16(), allowed.body().len()), (204, 0));
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example.com"),
        ("access-control-allow-methods", "GET,POST"),
        ("access-control-allow-headers", "authorization"),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(allowed.headers()[name], value, "{name}");
    }
    assert!(preflight("http://localhost:3000").await.headers().contains_key("access-control-allow-origin"));
    let foreign = preflight("https://evil.example.com").await;
    assert_eq!(foreign.status(), 204);
    assert!(!foreign.headers().contains_key("access-control-allow-origin"));
    assert_eq!(gateway.counts("Web").invocations, 0, "no function was asked");

    let answer = gateway.request(get_with("/open/x", &[("origin", "https://app.example.com")])).await;
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://app.example.com");
    assert_eq!(answer.headers()["access-control-expose-headers"], "etag");
    assert_eq!(answer.headers()["vary"], "origin");
    let plain = gateway.request(get_with("/open/x", &[])).await;
    assert!(!plain.headers().contains_key("access-control-allow-origin"), "the function's own are ignored");
    let refused = gateway.request(get_with("/guarded/1", &[("origin", "https://app.example.com")])).await;
    assert_eq!(refused.status(), 401);
    assert!(refused.headers().contains_key("access-control-allow-origin"), "a page may read the refusal");
}

#[tokio::test]
async fn only_trusted_peers_say_who_the_client_is() {
    let (mut fixture, _) = guarded(Fixture::new());
    fixture.change = Box::new(|config| config.trusted_peers = vec!["10.0.0.0/8".parse().expect("a network")]);
    let gateway = fixture.start().await;
    let cases = [
        ("203.0.113.9", None, "203.0.113.9", "203.0.113.9"),
        ("203.0.113.9", Some("1.2.3.4"), "203.0.113.9", "1.2.3.4,203.0.113.9"),
        ("10.0.0.1", Some("1.2.3.4"), "1.2.3.4", "1.2.3.4,10.0.0.1"),
        ("10.0.0.1", Some("6.6.6.6, 1.2.3.4, 10.9.9.9"), "1.2.3.4", "6.6.6.6, 1.2.3.4, 10.9.9.9,10.0.0.1"),
        ("10.0.0.1", Some("nonsense"), "10.0.0.1", "nonsense,10.0.0.1"),
    ];
    for (peer, forwarded, client, passed_on) in cases {
        let headers: Vec<_> = forwarded.map(|value| ("x-forwarded-for", value)).into_iter().collect();
        let peer: IpAddr = peer.parse().expect("an address");
        let (_, seen) = split(&gateway.request_from(peer, get_with("/open/x", &headers)).await);
        assert_eq!(seen["context"]["http"]["sourceIp"], client, "{peer} {forwarded:?}");
        assert_eq!(seen["forwarded"], passed_on, "{peer} {forwarded:?}");
    }
}

/// Reads one answer: head, and as much body as it announces.
async fn read_answer(stream: &mut tokio::net::TcpStream) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; if head.contains("x-test: head") { 0 } else { length.parse().expect("a number") }];
    stream.read_exact(&mut body).await.expect("the body");
    (head, body)
}

#[tokio::test]
async fn over_a_socket_connections_are_kept_and_shutdown_is_graceful() {
    let (mut fixture, _) = guarded(Fixture::new());
    fixture.change = Box::new(|config| config.listen = Some(([127, 0, 0, 1], 0).into()));
    let gateway = fixture.start().await;
    let address = gateway.address().expect("it listens");
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    for path in ["/open/one?a=b%20c", "/open/two"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let (head, body) = read_answer(&mut stream).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let seen: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(seen["uri"], format!("http://localhost{path}"));
        assert_eq!(seen["context"]["http"]["sourceIp"], "127.0.0.1");
    }
    let large = "POST /open/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\r\n";
    let mut second = tokio::net::TcpStream::connect(address).await.expect("a connection");
    second.write_all(large.as_bytes()).await.expect("sent");
    let (head, body) = read_answer(&mut second).await;
    assert!(head.starts_with("http/1.1 413") && head.contains("connection: close"), "{head}");
    assert_eq!(body, br#"{"message":"Request Entity Too Large"}"#);
    gateway.shutdown(Duration::from_secs(5)).await;
    assert_eq!(stream.read(&mut [0; 1]).await.expect("an orderly end"), 0);
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn head_reaches_functions_by_any_and_keeps_the_length() {
    let (fixture, _) = guarded(Fixture::new());
    let gateway = fixture.start().await;
    let head = Request::head("/open/x").body(Bytes::new()).expect("a request");
    assert_eq!(gateway.request(head).await.status(), 200);
    let head = Request::head("/rare").body(Bytes::new()).expect("a request");
    assert_eq!(gateway.request(head).await.status(), 404, "GET is not HEAD");
    gateway.shutdown(SOON).await;
}

#[tokio::test]
async fn a_gateway_that_leaves_ends_connections_with_their_next_answer_and_then_lets_nobody_in() {
    let mut fixture = Fixture::new().with("web", web);
    fixture.change = Box::new(|config| config.listen = Some(([127, 0, 0, 1], 0).into()));
    let gateway = fixture.start().await;
    let address = gateway.address().expect("it listens");
    let request = b"GET /open/a HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut kept = tokio::net::TcpStream::connect(address).await.expect("a connection");
    kept.write_all(request).await.expect("a request");
    let (head, _) = read_answer(&mut kept).await;
    assert!(!head.contains("connection: close"), "{head}");
    let draining = tokio::spawn(gateway.drain(Duration::from_secs(1), SOON));
    // Either of them may come first: a grace that has begun is seen by the next answer.
    let last = tokio::time::timeout(SOON, async {
        loop {
            let mut stream = tokio::net::TcpStream::connect(address).await?;
            stream.write_all(request).await?;
            let (head, _) = read_answer(&mut stream).await;
            if head.contains("connection: close") {
                // And it is closed.
                return stream.read(&mut [0; 8]).await;
            }
        }
    });
    assert_eq!(last.await.expect("in time").expect("a new connection is still taken"), 0);
    kept.write_all(request).await.expect("a request");
    let (head, _) = read_answer(&mut kept).await;
    assert!(head.starts_with("http/1.1 200") && head.contains("connection: close"), "{head}");
    assert!(draining.await.expect("it ends"), "nothing was left");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

/// Sends one request over a connection of its own; nothing if none came about.
fn newcomer(address: std::net::SocketAddr) -> Option<std::io::Result<()>> {
    use std::io::{Error, Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok()?;
    let answer = (|| {
        stream.set_read_timeout(Some(SOON))?;
        stream.write_all(b"POST /open/a HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        // 503 where all environments are busy is an answer too.
        if head.starts_with(b"HTTP/1.1 ") {
            Ok(())
        } else {
            Err(Error::other(String::from_utf8_lossy(&head).into_owned()))
        }
    })();
    Some(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_got_a_connection_to_a_gateway_that_leaves_is_answered() {
    for _ in 0..5 {
        let mut fixture = Fixture::new().with("web", web);
        fixture.change = Box::new(|config| config.listen = Some(([127, 0, 0, 1], 0).into()));
        let gateway = fixture.start().await;
        let address = gateway.address().expect("it listens");
        let answered = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..12)
            .map(|_| {
                let answered = Arc::clone(&answered);
                std::thread::spawn(move || {
                    while let Some(answer) = newcomer(address) {
                        answer?;
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok::<_, std::io::Error>(())
                })
            })
            .collect();
        while answered.load(Ordering::Relaxed) < 50 {
            tokio::task::yield_now().await;
        }
        assert!(gateway.drain(Duration::ZERO, SOON).await, "nothing was left");
        for caller in callers {
            caller.join().expect("a caller").expect("an answer to whoever was let in");
        }
    }
}

#[tokio::test]
async fn who_was_let_in_and_is_slow_to_ask_is_answered_by_a_gateway_that_leaves() {
    let mut fixture = Fixture::new().with("web", web);
    fixture.change = Box::new(|config| config.listen = Some(([127, 0, 0, 1], 0).into()));
    let gateway = fixture.start().await;
    let address = gateway.address().expect("it listens");
    let mut slow = tokio::net::TcpStream::connect(address).await.expect("a connection");
    let leaving = tokio::spawn(gateway.drain(Duration::ZERO, SOON));
    let connect = || tokio::time::timeout(Duration::from_millis(100), tokio::net::TcpStream::connect(address));
    while let Ok(Ok(_)) = connect().await {}
    slow.write_all(b"POST /open/a HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}").await.expect("sent");
    let (head, _) = read_answer(&mut slow).await;
    assert!(head.starts_with("http/1.1 200") && head.contains("connection: close"), "{head}");
    assert!(leaving.await.expect("it ends"), "nothing was left");
}
