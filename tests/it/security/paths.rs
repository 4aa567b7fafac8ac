//! Paths that might pass one route's authorizer, or none, and reach another's handler.

use halyard_tests::{TestApp, TestResponse};

use super::table::{self, ActsOn};

/// A path, written so that something in between may read it as `path`.
fn written_otherwise(path: &str) -> Vec<String> {
    let rest = &path[1..];
    let (first, tail) = rest.split_once('/').map_or((rest, String::new()), |(f, t)| (f, format!("/{t}")));
    let cut = path.rfind('/').unwrap_or(0);
    let (parent, last) = (&path[..cut], &path[cut + 1..]);
    let mut all = vec![
        format!("/{path}"),
        format!("//{path}"),
        format!("/.{path}"),
        format!("/./{rest}"),
        format!("/x/..{path}"),
        format!("/health/ping/../..{path}"),
        format!("/health/ping/%2e%2e/%2e%2e{path}"),
        format!("/health/ping/%2E%2e/.%2E{path}"),
        format!("/health/ping/..;{path}"),
        format!("/health/ping/..%2f..%2f{rest}"),
        format!("/health/ping/..\\..\\{}", rest.replace('/', "\\")).replace('\\', "%5c"),
        format!("/health/ping;{path}"),
        format!("/health/ping%2f..%2f..{path}"),
        format!("/auth/login/../../{rest}"),
        format!("/auth/validate/%2e%2e/%2e%2e/{rest}"),
        format!("/;x=y/{rest}"),
        format!("/%2f{rest}"),
        format!("/%2e/{rest}"),
        format!("/%252e%252e/{rest}"),
        format!("/%c0%ae%c0%ae/{rest}"),
        format!("/%c0%af{rest}"),
        format!("/%00{path}"),
        format!("{path}/"),
        format!("{path}//"),
        format!("{path}/."),
        format!("{path}/./"),
        format!("{path}/x/.."),
        format!("{path}/%2e"),
        format!("{path};"),
        format!("{path};.css"),
        format!("{path};jsessionid=1"),
        format!("{path}.json"),
        format!("{path}%20"),
        format!("{path}%09"),
        format!("{path}%0a"),
        format!("{path}%0d%0aX-Auth-User-Id:%201"),
        format!("{path}%00"),
        format!("{path}%00.css"),
        format!("{path}%23"),
        format!("{path}%3f"),
        format!("{path}%3fx=y"),
        format!("{path}%ef%bc%8f"),
        format!("{parent}/%2e/{last}"),
        format!("{parent}/./{last}"),
        format!("{parent}//{last}"),
        format!("{parent}%2f{last}"),
        format!("{parent}%5c{last}"),
        format!("{parent}/x/../{last}"),
        format!("{parent}/{}", percent_encoded(last)),
        format!("/{}{tail}", percent_encoded(first)),
        path.to_uppercase(),
        format!("/{}{tail}", capitalised(first)),
        format!("{parent}/{}", capitalised(last)),
        format!("{path}?/health/ping"),
        format!("{path}?..%2f..%2fhealth/ping"),
    ];
    all.sort();
    all.dedup();
    all.retain(|written| written != path && written.starts_with('/'));
    all
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat()
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn refused(answer: &TestResponse, what: &str, allowed: &[u16]) {
    assert!(allowed.contains(&answer.code()), "{what}: {} {}", answer.code(), answer.text());
}

#[tokio::test]
async fn no_way_of_writing_a_path_reaches_a_protected_handler_without_a_token() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let anonymous = app.anonymous();
    let mut sent = 0;
    for route in table::routes().iter().filter(|route| route.is_protected()) {
        for path in written_otherwise(&route.path_to_nothing()) {
            // With a bad token too: it, too, passes an authorizer.
            for who in [&anonymous, &anonymous.with_token("a.b.c")] {
                let answer = who.request(route.method.clone(), &path).send().await;
                refused(&answer, &format!("{} {path}", route.method), &[400, 401, 404, 405]);
                sent += 1;
            }
        }
    }
    assert!(sent > 1000, "{sent}");
}

#[tokio::test]
async fn no_way_of_writing_a_path_reaches_more_than_the_path_itself() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user().await;
    for route in table::routes().iter().filter(|route| route.line.needs.is_some()) {
        for path in written_otherwise(&route.path_to_nothing()) {
            let answer = user.request(route.method.clone(), &path).send().await;
            refused(&answer, &format!("{} {path}", route.method), &[400, 403, 404, 405]);
        }
    }
}

#[tokio::test]
async fn a_variable_of_a_path_is_one_segment_and_an_id_or_nothing() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let admin = app.admin().await;
    let ids = [
        "..",
        "%2e%2e",
        ".",
        "%2e",
        "..%2f..",
        "..%2fstats",
        "%2e%2e%2fstats",
        "..%5cstats",
        "*",
        "%25",
        "%",
        "%zz",
        "%00",
        "%ff",
        "%c0%ae",
        "%u0041",
        "1",
        "-1",
        "0x1",
        "1e3",
        "null",
        "undefined",
        "true",
        "[]",
        "{}",
        "task_",
        "sess_",
        "task_00000000000000000000000000%00",
        "task_0000000000000000000000000O",
        "task_8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "TASK_00000000000000000000000000",
        "task_0000000000000000000000000%D9%A1",
        "'%20or%201=1--",
        "%27;drop%20table%20users",
        "$%7Bjndi:ldap:%2f%2fx%7D",
        "%7B%7B7*7%7D%7D",
        "task_0000000000000000000000000a",
        "%F0%9F%92%A9",
        "low%00",
        "LOW",
        "low%20",
        "default,high",
        "low;x",
    ];
    for route in table::routes().iter().filter(|route| route.line.acts_on.variable().is_some()) {
        for id in ids.iter().map(|id| (*id).to_owned()).chain(["a".repeat(5_000)]) {
            // To accounts a number is an id.
            if id.parse::<i64>().is_ok() && route.line.acts_on == ActsOn::Account {
                continue;
            }
            let path = route.path(&id);
            let answer = admin.request(route.method.clone(), &path).send().await;
            refused(&answer, &format!("{} {path}", route.method), &[404, 405]);
            assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        }
    }
}
