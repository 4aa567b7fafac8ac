//! Requests that two servers in a row might read as different ones, against the gateway's socket and through NGINX.

use halyard_tests::{Actor, Nginx, ScriptedNode, TestApp};

use super::wire::{plain, statuses, through};

/// A request inside of the body of another. Whoever is made to see it answers it, too.
const INNER: &str = "GET /health/ping HTTP/1.1\r\nHost: localhost\r\nX-Inner: yes\r\nConnection: close\r\n\r\n";

/// Requests whose end nobody can be sure of. Each is to be refused, and what follows is to be read by nobody.
fn ambiguous() -> Vec<(&'static str, String)> {
    let post =
        |headers: &str, body: &str| format!("POST /auth/login HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n{body}");
    let chunked = format!("0\r\n\r\n{INNER}");
    let both = |length: usize, encoding: &str| format!("Content-Length: {length}\r\nTransfer-Encoding: {encoding}");
    let len = chunked.len();
    vec![
        ("length, then chunked", post(&both(len, "chunked"), &chunked)),
        ("length 0, then chunked", post(&both(0, "chunked"), &chunked)),
        ("chunked, then length", post(&format!("Transfer-Encoding: chunked\r\nContent-Length: {len}"), &chunked)),
        ("an encoding that nobody knows, and a length", post(&both(5, "xchunked"), &format!("12345{INNER}"))),
        ("chunked as if it were hidden by a character", post(&both(len, "\u{b}chunked"), &chunked)),
        ("chunked, identity", post("Transfer-Encoding: chunked, identity", &chunked)),
        ("identity alone", post("Transfer-Encoding: identity", INNER)),
        ("two encodings in two headers", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", &chunked)),
        ("a space before the colon", post(&format!("Content-Length: {len}\r\nTransfer-Encoding : chunked"), &chunked)),
        ("a folded header", post(&format!("Content-Length: {len}\r\nX: y\r\n Transfer-Encoding: chunked"), &chunked)),
        (
            "a header that begins with a space",
            post(&format!(" Transfer-Encoding: chunked\r\nContent-Length: {len}"), &chunked),
        ),
        ("two lengths", post(&format!("Content-Length: 0\r\nContent-Length: {}", INNER.len()), INNER)),
        ("two lengths in one header", post(&format!("Content-Length: 0, {}", INNER.len()), INNER)),
        ("a length with a plus", post(&format!("Content-Length: +{}", INNER.len()), INNER)),
        ("a negative length", post("Content-Length: -1", INNER)),
        ("a length in hexadecimal", post("Content-Length: 0x10", INNER)),
        ("a length with a space in it", post("Content-Length: 1 0", INNER)),
        ("an empty length", post("Content-Length: ", INNER)),
        ("a length beyond 64 bits", post("Content-Length: 18446744073709551617", INNER)),
        ("a chunk's length that is none", post("Transfer-Encoding: chunked", &format!("0x0\r\n\r\n{INNER}"))),
        (
            "a chunk's length beyond 64 bits",
            post("Transfer-Encoding: chunked", &format!("10000000000000000\r\n\r\n{INNER}")),
        ),
        ("a negative chunk", post("Transfer-Encoding: chunked", &format!("-1\r\n\r\n{INNER}"))),
        ("a chunk longer than it says", post("Transfer-Encoding: chunked", &format!("1\r\nabc\r\n0\r\n\r\n{INNER}"))),
        ("NUL in a header", post("X: a\0b", INNER)),
        ("a carriage return in a header", post(&format!("X: y\rContent-Length: {len}"), INNER)),
        ("a name with a space", post(&format!("Content Length: {len}"), INNER)),
        ("a header without a name", post(": chunked", INNER)),
        ("a header without a colon", post("chunked", INNER)),
        ("a version that is none", INNER.replace("HTTP/1.1", "HTTP/1.9x") + INNER),
        ("a method with a control character", format!("GE\u{1}T / HTTP/1.1\r\nHost: localhost\r\n\r\n{INNER}")),
        ("a target with a space", format!("GET /health/ping HTTP/1.1 HTTP/1.1\r\nHost: localhost\r\n\r\n{INNER}")),
        ("a space before the method", format!(" GET /health/ping HTTP/1.1\r\nHost: localhost\r\n\r\n{INNER}")),
        ("the preface of HTTP/2", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{INNER}")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_refuses_what_it_could_read_in_two_ways_and_reads_on_in_nothing() {
    let app = TestApp::builder().without_rate_limits().listening_behind(&[]).spawn().await;
    for (what, bytes) in ambiguous() {
        let answers = plain(app.address(), bytes).await;
        let statuses = statuses(&answers);
        // Chunks are read where a length stands beside them, and nothing after them.
        assert!(matches!(statuses[..], [400 | 415] | []), "{what}: {answers}");
        assert!(!answers.contains("node_id"), "{what}: {answers}");
    }
    app.anonymous().get("/health/ping").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_behind_nginx_never_sees_a_request_that_nginx_has_not_seen() {
    let node = ScriptedNode::answering(200, "content-type: application/json\r\n", "{}");
    let nginx = Nginx::before(&[node.address()], &[]);
    let inners = || node.requests("/health/ping").iter().filter(|seen| seen.header("x-inner").is_some()).count();
    for (what, bytes) in ambiguous() {
        let before = inners();
        let answers = through(&nginx, bytes).await;
        // What NGINX itself reads as a second request may reach a node, and then it is answered as one.
        let answered = statuses(&answers);
        let second = answered.iter().skip(1).filter(|code| **code == 200).count();
        assert_eq!(inners() - before, second, "{what}: {answers}");
        assert!(answered.len() <= 2, "{what}: {answers}");
    }
    for seen in node.requests("/auth/login") {
        let both = seen.header("transfer-encoding").is_some() && seen.header("content-length").is_some();
        assert!(!both, "{seen:?}");
    }
}

fn request(line: &str, headers: &str) -> String {
    format!("{line}\r\n{headers}Connection: close\r\n\r\n")
}

fn token_of(user: &Actor) -> String {
    user.access_token.clone().expect("a token")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folded_a_split_or_a_trailing_authorization_lets_nobody_in() {
    let app = TestApp::builder().without_rate_limits().listening_behind(&[]).spawn().await;
    let nginx = Nginx::before(&[app.address()], &[]);
    let token = token_of(&app.user().await);
    let line = "GET /api/protected HTTP/1.1";
    let host = "Host: localhost\r\n";
    let refused = [
        ("folded", request(line, &format!("{host}Authorization: Bearer\r\n {token}\r\n"))),
        ("folded with a tab", request(line, &format!("{host}Authorization:\r\n\tBearer {token}\r\n"))),
        ("the line before it folded", request(line, &format!("{host}X: y\r\n Authorization: Bearer {token}\r\n"))),
        ("a space before the colon", request(line, &format!("{host}Authorization : Bearer {token}\r\n"))),
        ("NUL in it", request(line, &format!("{host}Authorization: Bearer\0 {token}\r\n"))),
        ("an underscore in the name", request(line, &format!("{host}Authoriz_ation: Bearer {token}\r\n"))),
        ("a carriage return before it", request(line, &format!("{host}X: y\rAuthorization: Bearer {token}\r\n"))),
        (
            "a trailer",
            format!(
                "POST /auth/logout HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\nTrailer: Authorization\r\nConnection: \
                 close\r\n\r\n0\r\nAuthorization: Bearer {token}\r\n\r\n"
            ),
        ),
        (
            "a header named as belonging to the connection",
            request(line, &format!("{host}X: Authorization: Bearer {token}\r\n")),
        ),
    ];
    for (what, bytes) in refused {
        for answers in [plain(app.address(), bytes.clone()).await, through(&nginx, bytes).await] {
            let statuses = statuses(&answers);
            assert!(matches!(statuses[..], [400 | 401] | []), "{what}: {answers}");
        }
    }
    let good = request(line, &format!("{host}Authorization: Bearer {token}\r\n"));
    assert_eq!(statuses(&plain(app.address(), good.clone()).await), [200]);
    assert_eq!(statuses(&through(&nginx, good).await), [200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_have_headers_taken_out_on_the_way() {
    // `Connection` names headers of one hop: a proxy that obeys takes them out, and a limit or a filter with them.
    let app = TestApp::builder().listening_behind(&["127.0.0.1"]).spawn().await;
    let nginx = Nginx::before(&[app.address()], &[]);
    let token = token_of(&app.user().await);
    let headers = format!(
        "Host: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close, X-Forwarded-For, X-Forwarded-Proto, Authorization\r\n"
    );
    let bytes = format!("GET /auth/sessions HTTP/1.1\r\n{headers}\r\n");
    for answers in [plain(app.address(), bytes.clone()).await, through(&nginx, bytes).await] {
        assert_eq!(statuses(&answers), [200], "{answers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_targets_and_hosts_are_refused_or_read_as_their_path_and_never_break_a_function() {
    let app = TestApp::builder().without_rate_limits().listening_behind(&[]).spawn().await;
    let targets = [
        ("GET http://evil.example/api/protected HTTP/1.1", &[400, 401][..]),
        ("GET http://user:password@localhost/api/protected HTTP/1.1", &[400, 401]),
        ("GET https://localhost/api/protected HTTP/1.1", &[400, 401]),
        ("GET file:///etc/passwd HTTP/1.1", &[400, 404]),
        ("GET ftp://localhost/api/protected HTTP/1.1", &[400, 401]),
        ("GET //evil.example/api/protected HTTP/1.1", &[400, 404]),
        ("GET localhost:80 HTTP/1.1", &[400, 404]),
        ("GET * HTTP/1.1", &[400, 404]),
        ("OPTIONS * HTTP/1.1", &[400, 404]),
        ("CONNECT localhost:5432 HTTP/1.1", &[400, 404, 405]),
        ("CONNECT /api/protected HTTP/1.1", &[400, 404, 405]),
        ("TRACE /api/protected HTTP/1.1", &[400, 404, 405]),
        ("TRACK /api/protected HTTP/1.1", &[400, 404, 405]),
        ("GETX /api/protected HTTP/1.1", &[400, 404, 405]),
        ("get /api/protected HTTP/1.1", &[400, 404, 405]),
        ("GET api/protected HTTP/1.1", &[400, 404]),
        ("GET ../api/protected HTTP/1.1", &[400, 404]),
        ("GET ?/api/protected HTTP/1.1", &[400, 404]),
        ("GET /api/protected#/health/ping HTTP/1.1", &[400, 401, 404]),
        ("GET /api/\u{e4}protected HTTP/1.1", &[400, 404]),
        ("GET /api/protected HTTP/1.0", &[400, 401]),
        ("GET /api/protected", &[400]),
    ];
    for (line, allowed) in targets {
        let answers = plain(app.address(), request(line, "Host: localhost:8000\r\n")).await;
        let codes = statuses(&answers);
        assert!(codes.len() <= 1 && codes.iter().all(|code| allowed.contains(code)), "{line}: {answers}");
    }
    for host in [
        "",
        "[",
        "]",
        "[::1",
        "::1",
        ":",
        ":80",
        "a:b",
        "a:99999",
        "a:-1",
        "a:80:80",
        "..",
        "1.2.3.4.5",
        "256.256.256.256",
        "0x7f.1",
        "a.256",
        "xn--",
        "xn--a",
        "_",
        "-",
        "localhost.",
        "evil.example",
        "a/b",
        "a?b",
        "a#b",
        "a@b",
        "a b",
        "a%00b",
        "a,b",
        "a\\b",
        "[::ffff:127.0.0.1]",
        "[fe80::1%25eth0]",
        "*",
        "(a)",
        "a\tb",
        "169.254.169.254",
    ] {
        let answers = plain(app.address(), request("GET /health/ping HTTP/1.1", &format!("Host: {host}\r\n"))).await;
        let codes = statuses(&answers);
        assert!(matches!(codes[..], [200 | 400]), "{host:?}: {answers}");
        assert!(!answers.contains("evil.example"), "{answers}");
    }
    let two =
        plain(app.address(), request("GET /health/ping HTTP/1.1", "Host: localhost\r\nHost: evil.example\r\n")).await;
    assert_eq!(statuses(&two), [400], "{two}");
    let without = plain(app.address(), request("GET /health/ping HTTP/1.1", "")).await;
    assert!(matches!(statuses(&without)[..], [200 | 400]), "{without}");
    app.anonymous().get("/health/ping").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_large_or_odd_in_a_head_is_refused_and_the_next_is_served() {
    let app = TestApp::builder().without_rate_limits().listening_behind(&[]).spawn().await;
    let (ping, host) = ("GET /health/ping HTTP/1.1", "Host: localhost\r\n");
    let many = (0..5_000).map(|n| format!("X-{n}: y\r\n")).collect::<Vec<_>>().concat();
    for (what, bytes) in [
        ("a header of 64 KB", request(ping, &format!("{host}X: {}\r\n", "x".repeat(65_536)))),
        ("a header of 2 MB", request(ping, &format!("{host}X: {}\r\n", "x".repeat(2_000_000)))),
        ("5,000 headers", request(ping, &format!("{host}{many}"))),
        ("a path of 64 KB", request(&format!("GET /{} HTTP/1.1", "x".repeat(65_000)), host)),
        ("a path of 2 MB", request(&format!("GET /{} HTTP/1.1", "x".repeat(2_000_000)), host)),
        ("10,000 parameters", request(&format!("GET /tasks?{} HTTP/1.1", "a=1&".repeat(10_000)), host)),
        ("a name of 64 KB", request(ping, &format!("{host}{}: y\r\n", "x".repeat(65_536)))),
        ("a method of 64 KB", request(&format!("{} / HTTP/1.1", "X".repeat(65_536)), host)),
        ("bytes that are no text", request(ping, host).replace("localhost", "\u{ff}\u{fe}")),
    ] {
        let answers = plain(app.address(), bytes).await;
        let codes = statuses(&answers);
        assert!(matches!(codes[..], [400 | 414 | 431] | []), "{what}: {codes:?}");
    }
    // Line ends without a carriage return are read by the letter of RFC 9112, 2.2; nothing hides in them.
    let bare = format!("{ping}\n{host}Connection: close\n\n").replace("\r\n", "\n");
    assert!(matches!(statuses(&plain(app.address(), bare).await)[..], [200 | 400]));
    app.anonymous().get("/health/ping").await.expect(200);
}
