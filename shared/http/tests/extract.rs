//! What extractors accept, and what they say to the rest.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use axum::Router;
use halyard_domain::{TaskId, user::check_username};
use halyard_http::{
    Access, AppPath, AppQuery, Cursor, Items, Lenient, MaybeValid, PageQuery, Rate, Routes, Valid, Validate,
    Violations, rfc3339, success,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use support::{Answer, get, post, send, world};

#[derive(Debug, Deserialize, Serialize)]
struct Body {
    username: String,
    #[serde(default)]
    nested: Vec<Inner>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    size: u8,
}

impl Validate for Body {
    fn validate(&self, v: &mut Violations) {
        v.rule("/username", check_username(&self.username));
        v.check(self.nested.len() < 3, "/nested", "too_many", "at most two");
    }
}

#[derive(Debug, Deserialize)]
struct Filter {
    size: Option<u8>,
}

fn app() -> Router {
    Routes::<()>::new()
        .post("/body", Access::Public, Rate::none(), async |Valid(b): Valid<Body>| success(b))
        .post("/optional", Access::Public, Rate::none(), async |MaybeValid(b): MaybeValid<Body>| success(b))
        .post("/lenient", Access::Public, Rate::none(), async |Lenient(b): Lenient<Body>| success(b))
        .get("/query", Access::Public, Rate::none(), async |AppQuery(f): AppQuery<Filter>| success(f.size))
        .get("/list", Access::Public, Rate::none(), async |page: PageQuery| {
            let after = page.cursor.map(|c| c.decode::<i64>()).transpose()?;
            let items = vec![page.limit];
            Ok::<_, halyard_http::Problem>(success(Items {
                items,
                next_cursor: after.map(|n| Cursor::encode(&(n + 1))),
            }))
        })
        .get("/tasks/{id}", Access::Public, Rate::none(), async |AppPath(id): AppPath<TaskId>| success(id.to_string()))
        .into_router((), world().ctx)
}

async fn body(text: &str) -> Answer {
    send(&app(), post("/body", "application/json", text)).await
}

async fn first_error(text: &str) -> Value {
    let answer = body(text).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{text}");
    answer.json()["errors"][0].clone()
}

#[tokio::test]
async fn a_good_body_passes_with_unknown_fields_ignored() {
    let answer = body(r#"{"username":"alice","extra":1}"#).await;
    assert_eq!(answer.json()["data"]["username"], "alice");
    let with_charset = post("/body", "application/json; charset=utf-8", r#"{"username":"alice"}"#);
    assert_eq!(send(&app(), with_charset).await.status, StatusCode::OK);
}

#[tokio::test]
async fn text_that_is_no_json_is_400() {
    for bad in ["", "{", "{\"username\":", "nonsense"] {
        let answer = body(bad).await;
        assert_eq!((answer.status, &answer.json()["error"]), (StatusCode::BAD_REQUEST, &json!("malformed_json")));
    }
}

#[tokio::test]
async fn another_content_type_is_415() {
    for kind in ["", "text/plain", "application/x-www-form-urlencoded"] {
        let answer = send(&app(), post("/body", kind, r#"{"username":"alice"}"#)).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
}

#[tokio::test]
async fn a_field_of_the_wrong_kind_is_422_with_its_pointer() {
    assert_eq!(first_error("{}").await, json!({"pointer": "/username", "code": "required", "detail": "is required"}));
    let wrong = first_error(r#"{"username":1}"#).await;
    assert_eq!((&wrong["pointer"], &wrong["code"]), (&json!("/username"), &json!("invalid_type")));
    assert_eq!(wrong["detail"], "invalid type: integer `1`, expected a string");
    let deep = first_error(r#"{"username":"alice","nested":[{"size":1},{"size":999}]}"#).await;
    assert_eq!((&deep["pointer"], &deep["code"]), (&json!("/nested/1/size"), &json!("invalid_value")));
    let unknown = first_error(r#"{"username":"alice","nested":[{"size":1,"x/y":2}]}"#).await;
    assert_eq!((&unknown["pointer"], &unknown["code"]), (&json!("/nested/0/x~1y"), &json!("unknown_field")));
}

#[tokio::test]
async fn all_broken_rules_are_told_at_once() {
    let answer = body(r#"{"username":"a","nested":[{"size":1},{"size":2},{"size":3}]}"#).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let body = answer.json();
    assert_eq!(body["error"], "validation_failed");
    assert_eq!(
        body["errors"],
        json!([
            {"pointer": "/username", "code": "too_short", "detail": "must have at least 3 characters"},
            {"pointer": "/nested", "code": "too_many", "detail": "at most two"},
        ])
    );
}

#[tokio::test]
async fn an_optional_body_may_be_missing_and_a_lenient_one_untyped() {
    assert_eq!(send(&app(), post("/optional", "", "")).await.json()["data"], json!(null));
    assert_eq!(send(&app(), post("/optional", "", "{}")).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(send(&app(), post("/lenient", "", " \n")).await.json()["data"], json!(null));
    let answer = send(&app(), post("/lenient", "text/plain", r#"{"username":"alice"}"#)).await;
    assert_eq!(answer.json()["data"]["username"], "alice");
}

#[tokio::test]
async fn a_body_above_lambdas_limit_is_413() {
    let huge = format!("{{\"username\":\"{}\"}}", "a".repeat(6 * 1024 * 1024));
    assert_eq!(body(&huge).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_bad_parameter_is_422_with_its_name() {
    let answer = send(&app(), get("/query?size=many")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.json()["errors"][0]["pointer"], "/size");
    assert_eq!(send(&app(), get("/query?size=7&other=1")).await.json()["data"], 7);
}

#[tokio::test]
async fn pages_have_a_size_and_an_opaque_cursor() {
    let page = send(&app(), get("/list")).await.json();
    assert_eq!(page["data"], json!({"items": [20], "next_cursor": null}));
    let cursor = Cursor::encode(&41);
    let page = send(&app(), get(&format!("/list?limit=100&cursor={cursor}"))).await.json();
    assert_eq!(page["data"], json!({"items": [100], "next_cursor": Cursor::encode(&42)}));
    for bad in ["/list?limit=0", "/list?limit=101", "/list?limit=x", "/list?cursor=%2A", "/list?cursor=YQ"] {
        assert_eq!(send(&app(), get(bad)).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
}

#[tokio::test]
async fn an_id_that_is_none_names_nothing() {
    let answer = send(&app(), get("/tasks/task_nonsense")).await;
    assert_eq!((answer.status, &answer.json()["error"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    let id = "task_01890A5DAC96774BBCCEB30209";
    assert_eq!(send(&app(), get(&format!("/tasks/{id}"))).await.json()["data"], id);
}

#[test]
fn the_envelope_carries_links_metadata_and_repeats() {
    let whole =
        success(json!({"a": 1})).links(json!({"self": "/a"})).metadata(json!({"n": 2})).top_level("task_id", "t");
    assert_eq!(
        serde_json::to_string(&whole).unwrap(),
        r#"{"status":"success","data":{"a":1},"links":{"self":"/a"},"metadata":{"n":2},"task_id":"t"}"#
    );
}

#[test]
fn times_end_in_z_and_have_no_needless_fraction() {
    let at = |micros: i64| chrono::DateTime::from_timestamp_micros(1_800_000_000_000_000 + micros).unwrap();
    assert_eq!(rfc3339(at(0)), "2027-01-15T08:00:00Z");
    assert_eq!(rfc3339(at(120_000)), "2027-01-15T08:00:00.120Z");
    assert_eq!(rfc3339(at(123_456)), "2027-01-15T08:00:00.123456Z");
}
