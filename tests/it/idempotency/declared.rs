//! Every route says what becomes of a request that is sent twice.

use std::collections::BTreeSet;

use halyard_domain::idempotency::{IdempotencyKey, LEASE, PATTERN};
use halyard_http::{Access, Repeats, RouteInfo};
use halyard_tests::{openapi, routes};
use http::Method;
use serde_json::json;

fn served() -> Vec<RouteInfo> {
    let lists = [
        halyard_fn_auth::routes().list().to_vec(),
        halyard_fn_users::routes().list().to_vec(),
        halyard_fn_tasks::routes().list().to_vec(),
        halyard_fn_status::routes().list().to_vec(),
    ];
    lists.concat()
}

#[test]
fn every_post_takes_a_key_or_says_why_not() {
    let posts = routes::of_template().into_iter().filter(|route| route.key.starts_with("POST "));
    let known = served();
    for post in posts {
        let route = known.iter().find(|route| *route.id == *post.key);
        let route = route.unwrap_or_else(|| panic!("{} is of a function that is not listed here", post.key));
        match route.repeats {
            Repeats::Keyed | Repeats::KeyedSecret => {
                assert_eq!(route.access, Access::Bearer, "{}: a key belongs to somebody", route.id);
            }
            Repeats::Unkeyed(why) => assert!(why.len() > 10, "{}: {why:?} says nothing", route.id),
            Repeats::Unsaid => panic!(
                "{0}: what becomes of it when it is sent twice? After its line in routes() say .keyed(), if it creates \
                 something, or .unkeyed(\"why not\")",
                route.id
            ),
        }
    }
    let others = known.iter().filter(|route| route.method != Method::POST);
    for route in others {
        assert_eq!(route.repeats, Repeats::Unsaid, "{}: only a POST takes a key", route.id);
    }
}

#[test]
fn the_document_names_the_header_where_it_is_taken() {
    let document = openapi::document();
    let mut named = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            if parameters.into_iter().any(|parameter| parameter["name"] == "Idempotency-Key") {
                named.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    let keyed = served().into_iter().filter(|r| matches!(r.repeats, Repeats::Keyed | Repeats::KeyedSecret));
    assert_eq!(named, keyed.map(|route| route.id.to_string()).collect());
    assert!(named.contains("POST /tasks/submit"), "{named:?}");
}

#[test]
fn the_document_says_which_keys_are_taken() {
    let schema = json!({"type": "string", "pattern": PATTERN});
    let pattern = jsonschema::validator_for(&schema).expect("a pattern");
    let long =
        ["k".repeat(255), "k".repeat(256), format!("\"{}\"", "\\\"".repeat(255)), format!("\"{}\"", "k".repeat(256))];
    let short = [
        "",
        "a",
        "a b",
        "\"a b\"",
        "\"\"",
        "\"a",
        "a\"",
        "\"a\"b",
        "a,b",
        "a;b",
        "a\\b",
        "\"a\\\"b\"",
        "\"a\\b\"",
        "ü",
        "\t",
        "a\tb",
    ];
    let all = (0..=255_u8).map(|byte| char::from(byte).to_string());
    for text in long.into_iter().chain(short.map(str::to_owned)).chain(all) {
        let taken = IdempotencyKey::parse(text.as_bytes()).is_ok();
        assert_eq!(pattern.is_valid(&json!(text)), taken, "{text:?}");
    }
}

#[test]
fn a_key_is_held_for_longer_than_a_function_may_take() {
    let stack = routes::stack();
    for route in routes::of_template().iter().filter(|route| route.key.starts_with("POST ")) {
        let timeout = stack.functions[&route.function].timeout;
        assert!(timeout < LEASE.to_std().expect("a duration"), "{} of {}: {timeout:?}", route.key, route.function);
    }
}
