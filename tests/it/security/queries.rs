//! Queries and headers that no route expects.

use std::collections::BTreeSet;

use halyard_tests::openapi::document;
use serde_json::Value;

use super::{
    hostile::Range,
    table::{self, Known},
};

const VALUES: &[&str] = &[
    "",
    "0",
    "-1",
    "1",
    "101",
    "1e3",
    "1.5",
    "abc",
    "null",
    "true",
    "99999999999999999999",
    "-99999999999999999999",
    "%00",
    "a%00b",
    "%ff",
    "%c0%af",
    "%ed%a0%80",
    "%",
    "%z",
    "%u0041",
    "[]",
    "{}",
    "%27%20or%201=1--",
    "%27;select%20pg_sleep(9)--",
    "$(id)",
    "%7B%7B7*7%7D%7D",
    "..%2f..",
    "%0d%0aX-Injected:%20yes",
    "%e2%80%ae",
    "running,queued",
    "*",
    "admin",
    "task_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
    "AAAA",
    "dGFza18",
    "AA==",
    "%2B%2F",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "%2B262142-12-31T23:59:59Z",
    "-262143-01-01T00:00:00Z",
    "%2B294277-01-01T00:00:00Z",
    "-4713-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:60Z",
    "2026-01-01T00:00:00%2B23:59",
];
/// Names that some route reads, and some that none does.
const NAMES: &[&str] = &[
    "limit",
    "cursor",
    "status",
    "task_type",
    "priority",
    "submitted_after",
    "submitted_before",
    "after",
    "q",
    "role",
    "actor",
    "action",
    "target",
    "since",
    "until",
    "user_id",
    "from",
    "to",
    "preview",
    "dry_run",
    "x",
    "__proto__",
];

/// Every so many of the values are tried with a name that a route does not read.
const UNREAD: usize = 8;

/// Whole queries.
fn odd() -> Vec<String> {
    let list = [
        "?",
        "??",
        "?&&&&",
        "?=",
        "?=1",
        "?limit",
        "?limit=1&limit=2",
        "?limit[]=1",
        "?limit[$gt]=0",
        "?limit=1;cursor=x",
        "?%6cimit=101",
        "?limit=1&LIMIT=2",
        "?cursor=a&cursor=b",
        "?status=queued&status=running",
        "?a=b?c=d",
        "?%00=1",
        "?%ff=%ff",
        "?limit=1%26limit=2",
        "?_=\u{e4}",
    ];
    let mut all: Vec<String> = list.map(str::to_owned).to_vec();
    all.push(format!("?{}", "a&".repeat(4_500)));
    all.push(format!("?{}", "a=1&".repeat(10_000)));
    all.push(format!("?{}", "limit=1&".repeat(1_000)));
    all.push(format!("?cursor={}", "A".repeat(8_000)));
    all.push(format!("?task_type={}", "%00".repeat(3_000)));
    all.push(format!("?x={}", "x".repeat(70_000)));
    all
}

fn reads() -> Vec<Known> {
    table::routes().into_iter().filter(|route| !route.writes()).collect()
}

#[tokio::test]
async fn no_query_breaks_a_route() {
    let mut range = Range::open().await;
    for route in reads() {
        for query in odd() {
            let Ok(_) = query.parse::<http::uri::PathAndQuery>() else { continue };
            let draft = range.draft_to(&route, &query);
            range.send(&route, &query, draft).await;
        }
        let known = parameters(&route);
        for (place, name) in NAMES.iter().enumerate() {
            // A name that the route does not read is tried with some values only: nothing looks at them.
            let step = if known.contains(name) { 1 } else { UNREAD };
            for value in VALUES.iter().skip(place % step).step_by(step) {
                let query = format!("?{name}={value}");
                let draft = range.draft_to(&route, &query);
                let answer = range.send(&route, &query, draft).await;
                assert!(!answer.headers.contains_key("x-injected"), "{query}");
            }
        }
    }
    range.close(5_000).await;
}

/// The parameters of the query that a route reads, as docs/openapi.json says.
fn parameters(route: &Known) -> BTreeSet<&'static str> {
    let operation = &document()["paths"][&route.pattern][route.method.as_str().to_lowercase()];
    let all = operation["parameters"].as_array().into_iter().flatten();
    all.filter(|parameter| parameter["in"] == "query").filter_map(|parameter| parameter["name"].as_str()).collect()
}

/// Headers that a function or the guard reads, with what they may hold at the worst.
const HEADERS: &[(&str, &[&str])] = &[
    (
        "if-match",
        &["", "*", "\"", "\"\"", "W/\"1\"", "\"1\", \"2\"", "\"-1\"", "\"99999999999999999999\"", "1", "\u{0}"],
    ),
    ("if-none-match", &["*", "\"1\""]),
    ("if-modified-since", &["yesterday", "Thu, 01 Jan 1970 00:00:00 GMT"]),
    ("range", &["bytes=0-0", "bytes=0-,0-,0-", "bytes=-1", "bits=1"]),
    ("accept", &["", "*/*", "application/xml", "text/html;q=x", ",,,,", "application/json;q=0", "text/plain;q=9e99"]),
    (
        "accept-encoding",
        &["", "gzip;q=x", "gzip;q=9", "*;q=0", "gzip, gzip, gzip", "br", ",,", "gzip;q=0.0000000000000001"],
    ),
    ("accept-language", &["*", "../../etc/passwd"]),
    (
        "last-event-id",
        &["", "-", "#", "%00", "9999999999999999999999999999999999999999999999999999999999999999999999", "a b"],
    ),
    ("x-request-id", &["", "a", "a b", "<script>", "../..", "req_\u{7f}", "${jndi:ldap://x}"]),
    (
        "traceparent",
        &[
            "",
            "00",
            "00-0-0-0",
            "00-00000000000000000000000000000000-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
        ],
    ),
    ("tracestate", &["a=b,", "=,=,="]),
    ("idempotency-key", &["", "\"\"", "x", "'; drop table users; --"]),
    ("user-agent", &["", "${jndi:ldap://x}", "<script>", "() { :;}; echo x"]),
    ("origin", &["", "null", "https://evil.example", "https://evil.example, https://x", "file://"]),
    ("referer", &["", "https://evil.example/?token=x"]),
    ("cookie", &["", ";;;;", "=;=", "halyard_session", "a=b; a=c; a=d"]),
    ("expect", &["100-continue", "200-ok"]),
    ("upgrade", &["websocket", "h2c"]),
    ("content-length", &["0", "999999"]),
    ("transfer-encoding", &["chunked", "identity"]),
    ("te", &["trailers"]),
    ("via", &["1.1 x", "1.1 y, 1.1 z"]),
    (
        "x-forwarded-for",
        &["", ",", "unknown", "[::1]", "999.999.999.999", "127.0.0.1, 127.0.0.1", "::ffff:1.2.3.4", "fe80::1%eth0"],
    ),
    ("x-forwarded-proto", &["", "gopher", "https,http", "javascript"]),
    ("x-forwarded-port", &["-1", "99999999999", "x"]),
    ("x-amzn-trace-id", &["", "Root=x", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=x;Sampled=?"]),
];

#[tokio::test]
async fn no_header_breaks_a_route() {
    let mut range = Range::open().await;
    for route in table::routes() {
        let body = route.line.body.map(|body| body(1));
        for (name, values) in HEADERS {
            for value in *values {
                let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) else { continue };
                let mut draft = range.draft(&route).header_value(name, value.clone());
                if let Some(body) = body.as_ref().filter(|_| !route.key.ends_with("/register")) {
                    draft = draft.json(body);
                }
                let answer = range.send(&route, &(name, &value), draft).await;
                let id = answer.header("x-request-id");
                assert!(id.is_empty() || id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)), "{id}");
            }
        }
        for (what, size) in [("9 KB", 9_000), ("64 KB", 65_536), ("1 MB", 1_000_000)] {
            let draft = range.draft(&route).header("x-large", &"x".repeat(size));
            let answer = range.send(&route, &what, draft).await;
            assert!(size < 10_000 || answer.code() == 431, "{}: {what}: {}", route.key, answer.code());
        }
    }
    range.close(2_000).await;
}

#[tokio::test]
async fn a_problem_about_a_query_names_the_parameter() {
    let range = Range::open().await;
    for (query, pointer) in [
        ("limit=0", "/limit"),
        ("limit=x", "/limit"),
        ("cursor=x", "/cursor"),
        ("status=x", "/status"),
        ("priority=99", "/priority"),
        ("task_type=%00", "/task_type"),
        ("submitted_after=x", "/submitted_after"),
        ("submitted_after=-262143-01-01T00:00:00Z", "/submitted_after"),
        ("submitted_before=%2B262142-12-31T23:59:59Z", "/submitted_before"),
    ] {
        let problem = range.user.get(&format!("/tasks?{query}")).await.expect_problem(422, "validation_failed").json();
        assert_eq!(problem["errors"][0]["pointer"], Value::from(pointer), "{problem}");
    }
}
