//! Bytes, characters and escapes on their way through the gateway's event and back.

use std::io::Read as _;

use flate2::read::GzDecoder;
use halyard_tests::target;
use http::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn long_answers_are_compressed_for_those_who_take_it() {
    let target = target!();
    let user = target.user("e2e-gzip").await;
    let plain =
        user.request(Method::GET, "/tasks/types").header("accept-encoding", "identity").send().await.expect(200);
    assert_eq!(plain.header("content-encoding"), "");
    let packed = user.request(Method::GET, "/tasks/types").header("accept-encoding", "gzip").send().await.expect(200);
    assert_eq!(packed.header("content-encoding"), "gzip", "{:?}", packed.headers);
    let mut text = String::new();
    GzDecoder::new(&packed.body[..]).read_to_string(&mut text).expect("the bytes came through unharmed");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), plain.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn text_beyond_ascii_comes_back_as_it_went() {
    let target = target!();
    let user = target.user("e2e-text").await;
    let message = "Grüße, 世界 😀 \u{2028} \"quoted\" \\ and a\ttab";
    let id = user.submit(json!({"task_type": "sample", "data": {"message": message}})).await;
    let task = target.finished(&user, &id).await;
    assert_eq!(task["result"]["message"], message);
}

/// A body under a type that is not text travels as base64.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_bytes_arrives_as_it_was_sent() {
    let target = target!();
    let user = target.user("e2e-bytes").await;
    let later = (chrono_now() + chrono::Duration::hours(1)).to_rfc3339();
    for (kind, reason) in
        [("application/octet-stream", "bytes: ü😀"), ("application/x-www-form-urlencoded", "a form: ü")]
    {
        let task = json!({"task_type": "sample", "data": {}, "scheduled_for": later});
        let id = user.submit(task).await;
        let draft = user.request(Method::POST, &format!("/tasks/cancel/{id}")).header("content-type", kind);
        let answer = draft.body(json!({"reason": reason}).to_string()).send().await.expect(200).json();
        assert_eq!(answer["data"]["reason"], reason, "{kind}");
    }
    let png = b"\x89PNG\r\n\x1a\n\x00\xff\xfe";
    let draft = user.request(Method::POST, "/tasks/submit").header("content-type", "image/png").body(&png[..]);
    draft.send().await.expect_problem(415, "unsupported_media_type");
}

#[tokio::test(flavor = "multi_thread")]
async fn escapes_in_a_path_are_decoded_once() {
    let target = target!();
    let user = target.user("e2e-path").await;
    let id = user.submit(json!({"task_type": "sample", "data": {}})).await;
    target.finished(&user, &id).await;
    let escaped = id.replace('_', "%5F");
    let task = user.get(&format!("/tasks/status/{escaped}")).await.expect(200).json();
    assert_eq!(task["data"]["task_id"], id.as_str());
    for odd in [id.replace('_', "%255F"), "%E2%82%AC".to_owned(), "a%20b".to_owned(), "a+b".to_owned()] {
        user.get(&format!("/tasks/status/{odd}")).await.expect_problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn escapes_in_a_query_are_decoded_once() {
    let target = target!();
    let user = target.user("e2e-query").await;
    let id = user.submit(json!({"task_type": "user_specific", "data": {}})).await;
    target.finished(&user, &id).await;
    let first = async |query: &str| {
        let list = user.get(&format!("/tasks?limit=1&{query}")).await.expect(200).json();
        list["data"]["items"][0]["task_id"].as_str().map(str::to_owned)
    };
    assert_eq!(first("task_type=user%5Fspecific").await.as_ref(), Some(&id));
    assert_eq!(first("task%5Ftype=user_specific").await.as_ref(), Some(&id));
    assert_eq!(first("task_type=user%255Fspecific").await, None);
    // A time with its plus sign escaped is one, and one with a space in its place is none.
    user.get("/tasks?submitted_after=2026-01-01T00:00:00%2B00:00").await.expect(200);
    user.get("/tasks?submitted_after=2026-01-01T00:00:00+00:00").await.expect(422);
}

/// Payload 2.0 joins values in its map; the functions read the query as it came.
#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_comes_twice_is_refused_and_not_guessed() {
    let target = target!();
    let user = target.user("e2e-twice").await;
    user.get("/tasks?limit=1&limit=2").await.expect(422);
    user.get("/tasks?status=completed&status=failed").await.expect(422);
}

/// Payload 2.0 takes cookies out of the headers.
#[tokio::test(flavor = "multi_thread")]
async fn cookies_do_no_harm() {
    let target = target!();
    let user = target.user("e2e-cookie").await;
    let draft = user.request(Method::GET, "/api/protected").header("cookie", "a=1; b=\"two\"; c=x=y");
    draft.send().await.expect(200);
}

fn chrono_now() -> chrono::DateTime<chrono::Utc> {
    use halyard_domain::Clock as _;
    halyard_domain::SystemClock.now()
}
