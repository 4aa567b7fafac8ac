//! `If-Match` against a version.

use halyard_http::if_match::{read, tag};
use http::{HeaderMap, HeaderValue, header};

fn holds(lines: &[&'static str], version: i64) -> bool {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(header::IF_MATCH, HeaderValue::from_static(line));
    }
    read(&headers).holds(version)
}

#[test]
fn without_a_condition_every_version_will_do() {
    assert!(holds(&[], 3));
    assert!(holds(&["*"], 3));
}

#[test]
fn one_of_the_tags_must_be_the_versions() {
    assert_eq!(tag(3), "\"3\"");
    assert!(holds(&["\"3\""], 3));
    assert!(holds(&["\"2\", \"3\""], 3));
    assert!(holds(&["\"2\"", "\"3\""], 3));
    assert!(!holds(&["\"2\""], 3));
    assert!(!holds(&["\"33\""], 3));
}

#[test]
fn a_weak_a_bare_and_an_empty_tag_match_nothing() {
    assert!(!holds(&["W/\"3\""], 3));
    assert!(!holds(&["3"], 3));
    assert!(!holds(&[""], 3));
}
