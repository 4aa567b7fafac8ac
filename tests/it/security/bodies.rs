//! Bodies that are no good as a whole: to every route that could read one.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::{hostile::Range, table};

const JSON: &str = "application/json";
/// The original's client cancels with JSON under a form's type.
const TAKES_ANY_TYPE: &str = "POST /tasks/cancel/{id}";
const MEGABYTE: usize = 1_000_000;

/// A body and its headers.
struct Case {
    what: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    refused: Refused,
}

/// By whom a case has to be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// By every route that reads a body.
    Always,
    /// By every one that looks at its type.
    ByType,
    /// It is odd, and not wrong in itself: a route may take it.
    Perhaps,
}

fn bad(what: &'static str, body: impl Into<Vec<u8>>) -> Case {
    Case { what, headers: vec![("content-type", JSON)], body: body.into(), refused: Refused::Always }
}

fn odd(what: &'static str, body: impl Into<Vec<u8>>) -> Case {
    Case { refused: Refused::Perhaps, ..bad(what, body) }
}

fn with(what: &'static str, headers: &[(&'static str, &'static str)], body: impl Into<Vec<u8>>) -> Case {
    Case { what, headers: headers.to_vec(), body: body.into(), refused: Refused::Perhaps }
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2], mark: bool) -> Vec<u8> {
    mark.then_some(0xfeff).into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).and_then(|()| out.finish()).expect("compressed")
}

/// The sample with more fields.
fn more(sample: &Value, extra: Value) -> String {
    let mut all = sample.clone();
    let (Some(fields), Value::Object(extra)) = (all.as_object_mut(), extra) else { panic!("two objects") };
    fields.extend(extra);
    all.to_string()
}

/// The sample with one more field, written as it is.
fn raw(sample: &Value, field: &str) -> String {
    let text = sample.to_string();
    let inner = text.trim_start_matches('{').trim_end_matches('}').trim();
    if inner.is_empty() { format!("{{{field}}}") } else { format!("{},{field}}}", &text[..text.len() - 1]) }
}

fn malformed(sample: &Value) -> Vec<Case> {
    let text = sample.to_string();
    let texts = sample.as_object().into_iter().flatten().filter(|(_, value)| value.is_string());
    let name = texts.map(|(name, _)| name.as_str()).next().unwrap_or("x");
    let bytes = |insert: &[u8]| [b"{\"", name.as_bytes(), b"\":\"", insert, b"\"}"].concat();
    vec![
        bad("10,000 arrays", "[".repeat(10_000) + &"]".repeat(10_000)),
        bad("100,000 arrays, not closed", "[".repeat(100_000)),
        bad("1,000,000 objects, not closed", "{\"a\":".repeat(200_000)),
        bad("a number beyond any", raw(sample, "\"x\":1e999x")),
        bad("hexadecimal", raw(sample, "\"x\":0x10")),
        bad("not a number", raw(sample, "\"x\":NaN")),
        bad("infinity", raw(sample, "\"x\":-Infinity")),
        bad("a number that begins with 0", raw(sample, "\"x\":01")),
        bad("a number that ends with a dot", raw(sample, "\"x\":1.")),
        bad("a byte order mark", [b"\xef\xbb\xbf", text.as_bytes()].concat()),
        bad("UTF-16, little end first", utf16(&text, u16::to_le_bytes, true)),
        bad("UTF-16, big end first", utf16(&text, u16::to_be_bytes, true)),
        bad("UTF-16 without a mark", utf16(&text, u16::to_le_bytes, false)),
        bad("UTF-32", text.chars().flat_map(|c| (c as u32).to_le_bytes()).collect::<Vec<_>>()),
        bad("NUL after it", text.clone() + "\0"),
        bad("NUL before it", "\0".to_owned() + &text),
        bad("NUL in a text", bytes(b"a\0b")),
        bad("a line break in a text", bytes(b"a\nb")),
        bad("a byte that is no UTF-8", bytes(b"\xff")),
        bad("a slash in two bytes", bytes(b"\xc0\xaf")),
        bad("half a character", bytes(b"\xe2\x82")),
        bad("a surrogate in UTF-8", bytes(b"\xed\xa0\x80")),
        bad("beyond Unicode", bytes(b"\xf4\x90\x80\x80")),
        bad("an escape that is none", bytes(b"\\x41")),
        bad("half an escape", bytes(b"\\u00")),
        bad("an array", "[]"),
        bad("an array with the body in it", format!("[{text}]")),
        bad("a text", "\"text\""),
        bad("a text with the body in it", Value::from(text.clone()).to_string()),
        bad("a number", "1"),
        bad("a truth", "true"),
        bad("null", "null"),
        bad("half of it", text[..text.len() / 2].to_owned()),
        bad("only its beginning", "{"),
        bad("a comma too many", text[..text.len() - 1].to_owned() + ",}"),
        bad("a comment", format!("/* */{text}")),
        bad("single quotes", text.replace('"', "'")),
        bad("two of it", format!("{text}{text}")),
        bad("something after it", format!("{text} x")),
        bad("two in an array too many", format!("[{text},{text}]")),
        bad("a form", "a=b&c=d"),
        bad(
            "XML with an entity",
            "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY y SYSTEM \"file:///etc/passwd\">]><x>&y;</x>",
        ),
        bad("YAML", "a: &x [*x, !!python/object/apply:os.system [id]]"),
        bad("gzip without saying so", gzip(text.as_bytes())),
        bad("7 MB", text_of(7 * MEGABYTE)),
        bad("11 MB", text_of(11 * MEGABYTE)),
    ]
}

fn text_of(bytes: usize) -> String {
    format!("{{\"x\":\"{}\"}}", "x".repeat(bytes))
}

fn strange(sample: &Value) -> Vec<Case> {
    let text = sample.to_string();
    let first = sample.as_object().and_then(|fields| fields.iter().next()).expect("a field");
    let many = (0..50_000).map(|n| format!("\"k{n}\":1,")).collect::<Vec<_>>().concat();
    vec![
        odd("nothing", ""),
        odd("spaces", " \r\n\t "),
        odd("an empty object", "{}"),
        odd("10,000 objects", "{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000)),
        odd("a field twice", raw(sample, &format!("\"{}\":{}", first.0, first.1))),
        odd(
            "a field twice, in another way of writing",
            raw(sample, &format!("\"\\u{:04x}{}\":0", first.0.as_bytes()[0], &first.0[1..])),
        ),
        odd("its fields in capitals", text.replace(first.0.as_str(), &first.0.to_uppercase())),
        odd("a half of a surrogate pair", raw(sample, r#""x":"\ud800""#)),
        odd("a half of a surrogate pair for a name", raw(sample, r#""\udc00":1"#)),
        odd("NUL for a name", raw(sample, r#""\u0000":"\u0000""#)),
        odd("an empty name", raw(sample, "\"\":1")),
        odd("a number beyond any", raw(sample, "\"x\":1e999")),
        odd("a number of 5,000 digits", raw(sample, &format!("\"x\":{}", "9".repeat(5_000)))),
        odd("an exponent of 5,000 digits", raw(sample, &format!("\"x\":1e{}", "9".repeat(5_000)))),
        odd("10,000 arrays in a field", raw(sample, &format!("\"x\":{}{}", "[".repeat(10_000), "]".repeat(10_000)))),
        odd(
            "10,000 objects in a field",
            raw(sample, &format!("\"x\":{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000))),
        ),
        odd("50,000 fields", format!("{{{many}{}", &text[1..])),
        odd("a name of 1 MB", raw(sample, &format!("\"{}\":1", "x".repeat(MEGABYTE)))),
        odd("a text of 1 MB", raw(sample, &format!("\"x\":\"{}\"", "x".repeat(MEGABYTE)))),
        odd("a text of 5.9 MB", raw(sample, &format!("\"x\":\"{}\"", "x".repeat(5_900_000)))),
        odd("1 MB of spaces around it", " ".repeat(MEGABYTE / 2) + &text + &" ".repeat(MEGABYTE / 2)),
        odd(
            "prototypes",
            more(sample, json!({"__proto__": {"admin": true}, "constructor": {"prototype": {"admin": true}}})),
        ),
    ]
}

fn of_another_type(sample: &Value) -> Vec<Case> {
    let text = sample.to_string();
    let bomb = gzip(&vec![b' '; 10 * MEGABYTE]);
    let refused =
        |kind: &'static str| Case { refused: Refused::ByType, ..with(kind, &[("content-type", kind)], text.clone()) };
    vec![
        refused("application/xml"),
        refused("application/x-yaml"),
        refused("application/octet-stream"),
        refused("application/jsonp"),
        refused("application"),
        refused("json"),
        refused("text/json"),
        refused("image/svg+json"),
        refused("application/json, text/html"),
        with("a charset that is not ours", &[("content-type", "application/json; charset=utf-16")], text.clone()),
        with("a charset that nobody has", &[("content-type", "application/json; charset=\"utf-7\"; x")], text.clone()),
        with("a type with semicolons only", &[("content-type", ";;;")], text.clone()),
        with(
            "a type of 8 KB",
            &[("content-type", Box::leak(format!("application/json;x={}", "x".repeat(8_000)).into_boxed_str()))],
            text.clone(),
        ),
        with("two types", &[("content-type", JSON), ("content-type", "text/plain")], text.clone()),
        Case {
            refused: Refused::Always,
            ..with("gzip", &[("content-type", JSON), ("content-encoding", "gzip")], gzip(text.as_bytes()))
        },
        Case {
            refused: Refused::Always,
            ..with("a bomb", &[("content-type", JSON), ("content-encoding", "gzip")], bomb)
        },
        with("an encoding that it has not", &[("content-type", JSON), ("content-encoding", "br")], text.clone()),
        with("a length that is not its own", &[("content-type", JSON), ("content-length", "1")], text.clone()),
        with("a transfer encoding", &[("content-type", JSON), ("transfer-encoding", "gzip, chunked")], text),
    ]
}

#[tokio::test]
async fn no_body_breaks_a_route_and_nothing_of_a_bad_one_is_stored() {
    let mut range = Range::open().await;
    let mut n = 0;
    for route in table::routes().iter().filter(|route| route.writes()) {
        n += 1000;
        let sample = route.line.body.map_or_else(|| json!({"x": 1}), |body| body(n));
        for case in [malformed(&sample), strange(&sample), of_another_type(&sample)].into_iter().flatten() {
            let mut draft = range.draft(route);
            for (name, value) in &case.headers {
                draft = draft.header(name, value);
            }
            let answer = range.send(route, &case.what, draft.body(case.body)).await;
            let must_fail = match case.refused {
                _ if route.line.body.is_none() => false,
                Refused::Always => true,
                Refused::ByType => route.key != TAKES_ANY_TYPE,
                Refused::Perhaps => false,
            };
            assert!(!must_fail || answer.code() >= 400, "{} took {}: {}", route.key, case.what, answer.text());
        }
    }
    range.close(800).await;
}
