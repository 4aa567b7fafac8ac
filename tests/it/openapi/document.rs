use std::{collections::BTreeSet, fs, process::Command};

use halyard_tests::{TestApp, conformity, environment::variable, openapi, routes};
use http::Method;
use serde_json::Value;

/// `GET /tasks/{id}` for each operation of the document.
fn operations(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().expect("paths");
    let keys = paths.iter().flat_map(|(path, item)| {
        item.as_object().expect("a path").keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    keys.collect()
}

#[test]
fn it_is_what_the_code_says() {
    let text = openapi::text().unwrap_or_else(|unfinished| panic!("\n\n{}\n", unfinished.0.join("\n\n")));
    if variable("UPDATE_OPENAPI").is_some() {
        fs::write(openapi::file(), &text).expect("docs/openapi.json is written");
    }
    let committed = fs::read_to_string(openapi::file()).unwrap_or_default();
    assert!(committed == text, "docs/openapi.json is stale: run scripts/openapi and commit it");
}

#[test]
fn it_has_the_routes_of_the_template_and_no_others() {
    let template: BTreeSet<String> = routes::of_template().into_iter().map(|route| route.key).collect();
    let template = template.into_iter().filter(|key| key != "$default").collect::<BTreeSet<_>>();
    assert_eq!(operations(openapi::document()), template);
}

#[test]
fn it_is_valid_against_the_meta_schema_of_openapi_3_1() {
    let validator = routes::repository(".local/venv-api/bin/openapi-spec-validator");
    let mut check = Command::new(validator);
    check.args(["--schema", "3.1"]).arg(openapi::file());
    let done = check.output().expect("scripts/venv installs the validator");
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn every_example_is_what_its_schema_says() {
    let mut shown = 0;
    for key in operations(openapi::document()) {
        let (method, path) = key.split_once(' ').expect("a key");
        let body = &openapi::document()["paths"][path][method.to_lowercase()]["requestBody"];
        let content = &body["content"]["application/json"];
        if content["example"].is_null() {
            continue;
        }
        conformity::check_request(&key, &content["schema"], &content["example"])
            .unwrap_or_else(|why| panic!("{key}: {why}"));
        shown += 1;
    }
    assert!(shown >= 8, "{shown} examples only");
}

#[tokio::test]
async fn it_is_served_and_may_be_kept() {
    let app = TestApp::spawn().await;
    let served = app.anonymous().get("/openapi.json").await.expect(200);
    let committed = fs::read_to_string(openapi::file()).expect("docs/openapi.json");
    assert_eq!(served.json(), serde_json::from_str::<Value>(&committed).expect("JSON"));
    assert_eq!(served.header("cache-control"), "public, max-age=300");
    let again = app.anonymous().request(Method::GET, "/openapi.json").header("if-none-match", served.header("etag"));
    let again = again.send().await.expect(304);
    assert!(again.body.is_empty());
    assert_eq!(again.header("etag"), served.header("etag"));
    let other = app.anonymous().request(Method::GET, "/openapi.json").header("if-none-match", "\"another\"");
    other.send().await.expect(200);
}

#[tokio::test]
async fn it_is_compressed_for_whoever_takes_that() {
    let app = TestApp::spawn().await;
    let served = app.anonymous().request(Method::GET, "/openapi.json").header("accept-encoding", "gzip").send().await;
    assert_eq!(served.header("content-encoding"), "gzip");
    assert!(served.body.len() < 60_000, "{} bytes", served.body.len());
}
