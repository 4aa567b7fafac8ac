//! Route precedence, against AWS' own example, a table, and a second implementation.

use std::collections::BTreeSet;

use halyard_gateway::{
    routing::{Found, Router},
    template::RouteKey,
};
use http::Method;
use proptest::prelude::*;

fn keys(texts: &[&str]) -> Vec<RouteKey> {
    texts.iter().map(|text| RouteKey::parse(text).unwrap_or_else(|e| panic!("{e}"))).collect()
}

fn find(routes: &[&str], method: &str, path: &str) -> Option<(String, Vec<(String, String)>)> {
    let keys = keys(routes);
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let Found { route, parameters } = Router::new(&keys).find(&method, path)?;
    Some((routes[route].to_owned(), parameters))
}

/// The example of <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html>.
#[test]
fn the_documented_example() {
    let routes = ["GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}", "$default"];
    for (method, path, expected) in [
        ("GET", "/pets/dog/1", "GET /pets/dog/1"),
        ("GET", "/pets/dog/2", "GET /pets/dog/{id}"),
        ("GET", "/pets/cat/1", "GET /pets/{proxy+}"),
        ("POST", "/test/5", "ANY /{proxy+}"),
        ("POST", "/pets/dog/1", "ANY /{proxy+}"),
        ("GET", "/", "$default"),
    ] {
        let (found, _) = find(&routes, method, path).expect("a route");
        assert_eq!(found, expected, "{method} {path}");
    }
}

#[test]
fn precedence_in_a_table() {
    let cases: &[(&[&str], &str, &str, Option<&str>)] = &[
        (&["ANY /a", "GET /a"], "GET", "/a", Some("GET /a")),
        (&["ANY /a", "GET /a"], "PUT", "/a", Some("ANY /a")),
        (&["GET /a/{x}", "ANY /a/b"], "GET", "/a/b", Some("ANY /a/b")),
        (&["GET /a/{x}", "POST /a/b"], "GET", "/a/b", Some("GET /a/{x}")),
        (&["GET /{x}/b", "GET /a/{rest+}"], "GET", "/a/b", Some("GET /{x}/b")),
        (&["GET /{x}/b", "GET /a/{x}"], "GET", "/a/b", Some("GET /a/{x}")),
        (&["GET /{a+}", "GET /x/{a+}", "GET /x/{y}/{a+}"], "GET", "/x/1/2", Some("GET /x/{y}/{a+}")),
        (&["GET /a/{rest+}"], "GET", "/a", None),
        (&["GET /a/{rest+}"], "GET", "/a/", None),
        (&["GET /a/{x}"], "GET", "/a/", None),
        (&["GET /a"], "GET", "/a/", None),
        (&["GET /a"], "HEAD", "/a", None),
        (&["GET /a", "$default"], "HEAD", "/a", Some("$default")),
        (&["GET /"], "GET", "/", Some("GET /")),
        (&["$default", "GET /a b"], "GET", "/a%20b", Some("GET /a b")),
        (&["GET /a/b", "GET /a/{x}"], "GET", "/%61/%62", Some("GET /a/b")),
    ];
    for (routes, method, path, expected) in cases {
        let found = find(routes, method, path).map(|(route, _)| route);
        assert_eq!(found.as_deref(), *expected, "{routes:?} {method} {path}");
    }
}

#[test]
fn variables_are_decoded_and_slashes_stay_inside_them() {
    let (_, parameters) = find(&["GET /f/{name}/{rest+}"], "GET", "/f/a%2Fb%20c+d/x/%C3%A9/y%zz").expect("a route");
    let expected = [("name", "a/b c+d"), ("rest", "x/é/y%zz")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(parameters, expected);
}

/// What the page says, written down a second time and slowly.
fn reference(routes: &[&str], method: &str, path: &str) -> Option<String> {
    let parts: Vec<&str> = path[1..].split('/').collect();
    let fit = |key: &&&str| {
        let Some((wanted, pattern)) = key.split_once(' ') else { return false };
        let segments: Vec<&str> = pattern[1..].split('/').collect();
        let greedy = pattern.ends_with("+}");
        (wanted == "ANY" || wanted == method)
            && (parts.len() == segments.len() || (greedy && parts.len() > segments.len()))
            && segments.iter().zip(&parts).all(|(s, p)| s == p || (s.starts_with('{') && !p.is_empty()))
    };
    let rank = |key: &&&str| {
        let (method, pattern) = key.split_once(' ').unwrap_or_default();
        let shape: Vec<u8> =
            pattern[1..].split('/').map(|s| if s.ends_with("+}") { 2 } else { u8::from(s.starts_with('{')) }).collect();
        (pattern.ends_with("+}"), shape, method == "ANY")
    };
    let best = routes.iter().filter(fit).min_by_key(rank).copied();
    best.or_else(|| routes.iter().find(|key| **key == "$default").copied()).map(str::to_owned)
}

fn route_key() -> impl Strategy<Value = String> {
    let segment = prop_oneof![3 => Just("a"), 3 => Just("b"), 2 => Just("{v}")];
    let path = (proptest::collection::vec(segment, 1..4), any::<bool>());
    let method = prop_oneof![Just("GET"), Just("POST"), Just("ANY")];
    let keyed = (method, path).prop_map(|(method, (mut segments, greedy))| {
        if greedy {
            segments.push("{rest+}");
        }
        format!("{method} /{}", segments.join("/"))
    });
    prop_oneof![12 => keyed, 1 => Just("$default".to_owned())]
}

proptest! {
    #[test]
    fn the_router_agrees_with_the_reference(
        routes in proptest::collection::btree_set(route_key(), 0..12),
        method in prop_oneof![Just("GET"), Just("POST"), Just("PUT")],
        parts in proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c")], 1..6),
    ) {
        // Two keys that differ only in a variable's name are the same route; the strategy makes none.
        let routes: BTreeSet<String> = routes;
        let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
        let path = format!("/{}", parts.join("/"));
        let found = find(&routes, method, &path).map(|(route, _)| route);
        prop_assert_eq!(found, reference(&routes, method, &path));
    }

    #[test]
    fn any_path_finds_at_most_the_default(path in "/[ -~]{0,40}") {
        let found = find(&["$default", "GET /a/{x}/{y+}"], "DELETE", &path);
        prop_assert_eq!(found, Some(("$default".to_owned(), Vec::new())));
    }
}
