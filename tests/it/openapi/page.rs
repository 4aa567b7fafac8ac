use base64::{Engine as _, prelude::BASE64_STANDARD};
use halyard_tests::{TestApp, openapi};

/// What stands between two tags, once.
fn between<'a>(page: &'a str, open: &str, close: &str) -> &'a str {
    let (_, rest) = page.split_once(open).unwrap_or_else(|| panic!("no {open}"));
    let (inside, rest) = rest.split_once(close).unwrap_or_else(|| panic!("no {close}"));
    assert!(!rest.contains(open), "more than one {open}");
    inside
}

#[tokio::test]
async fn every_operation_has_its_place_on_the_page() {
    let app = TestApp::spawn().await;
    let page = app.anonymous().get("/docs").await.expect(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let text = page.text();
    let paths = openapi::document()["paths"].as_object().expect("paths");
    for operation in paths.values().flat_map(|item| item.as_object().expect("a path").values()) {
        let id = operation["operationId"].as_str().expect("an id").to_lowercase();
        assert!(text.contains(&format!("<article id=\"{id}\"")), "{id} is not on the page");
        assert!(text.contains(&format!("<a href=\"#{id}\">")), "{id} is not in the navigation");
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_anywhere_and_its_policy_allows_nothing_else() {
    let app = TestApp::spawn().await;
    let page = app.anonymous().get("/docs").await.expect(200);
    let (text, policy) = (page.text(), page.header("content-security-policy").to_owned());
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    for (tag, directive) in [("style", "style-src"), ("script", "script-src")] {
        let inside = between(&text, &format!("<{tag}>"), &format!("</{tag}>"));
        let hash = BASE64_STANDARD.encode(halyard_reference::digest(inside.as_bytes()));
        assert!(policy.contains(&format!("{directive} 'sha256-{hash}';")), "{policy}");
    }
    for outside in [" src=", " style=", "@import", "url(", "<link", "<img", "<iframe"] {
        assert!(!text.contains(outside), "the page has {outside}");
    }
}

#[tokio::test]
async fn the_page_may_be_kept() {
    let app = TestApp::spawn().await;
    let anonymous = app.anonymous();
    let page = anonymous.get("/docs").await.expect(200);
    let again = anonymous.request(http::Method::GET, "/docs").header("if-none-match", page.header("etag"));
    again.send().await.expect(304);
}
