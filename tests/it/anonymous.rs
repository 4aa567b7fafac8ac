//! Every route of the template without a token.

use halyard_tests::{TestApp, routes};
use http::Method;

#[tokio::test]
async fn every_route_answers_401_without_a_token_unless_the_template_says_that_it_is_public() {
    let app = TestApp::spawn().await;
    let anonymous = app.anonymous();
    let mut walked = 0;
    for route in routes::of_template() {
        let Some((method, path)) = route.key.split_once(' ') else { continue };
        let method: Method = method.parse().expect("a method");
        let path = path.replace("{id}", "task_00000000000000000000000000").replace("{name}", "default");
        let answer = anonymous.request(method, &path).send().await;
        match route.authorizer.as_deref() {
            Some("bearer" | "cookie") => assert_eq!(answer.code(), 401, "{}: {}", route.key, answer.text()),
            Some("optional") => assert_eq!(answer.code(), 200, "{}: {}", route.key, answer.text()),
            Some(other) => panic!("{}: what is the authorizer {other}?", route.key),
            // Those that verify a credential themselves refuse it; none fails.
            None => assert!(answer.code() < 500 && answer.code() != 403, "{}: {}", route.key, answer.text()),
        }
        walked += 1;
    }
    assert!(walked >= 20, "walked {walked} routes only");
}

#[tokio::test]
async fn every_protected_route_answers_a_problem_to_a_bad_token() {
    let app = TestApp::spawn().await;
    for route in routes::of_template() {
        let Some((method, path)) = route.key.split_once(' ') else { continue };
        if route.authorizer.is_none() {
            continue;
        }
        let path = path.replace("{id}", "task_00000000000000000000000000").replace("{name}", "default");
        let draft = app.anonymous().request(method.parse().expect("a method"), &path).bearer("not.a.token");
        let answer = draft.send().await;
        assert_eq!(answer.code(), 401, "{}: {}", route.key, answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json", "{}", route.key);
        assert!(!answer.header("www-authenticate").is_empty(), "{}", route.key);
    }
}
