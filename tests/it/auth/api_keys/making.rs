//! Who makes keys, and of what.

use chrono::Duration;
use halyard_cloud::table::{Table as _, TableName};
use halyard_tests::TestApp;
use serde_json::{Value, json};

use super::{delete, key_with, keys_of, make};
use crate::assert_snapshot;

#[tokio::test]
async fn what_is_told_of_a_key_from_its_making_to_its_end() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let body = json!({"name": "scraper", "permissions": ["metrics:read"], "expires_in": 86_400});
    let made = admin.post("/auth/api-keys", body).await.expect(200);
    assert_snapshot!("made", made);
    let made = made.json();
    let program = admin.with_token(made["data"]["key"].as_str().expect("a key"));
    assert_snapshot!("validated", program.get("/auth/validate").await.expect(200));
    assert_snapshot!("session_required", program.get("/auth/api-keys").await.expect(403));
    assert_snapshot!("listed", admin.get("/auth/api-keys").await.expect(200));
    let more = json!({"name": "more", "permissions": ["users:read"]});
    assert_snapshot!("more_than_the_account_has", app.user().await.post("/auth/api-keys", more).await.expect(422));
    let id = made["data"]["api_key"]["id"].as_str().expect("a name");
    assert_snapshot!("deleted", delete(&admin, id).await.expect(200));
}

#[tokio::test]
async fn nobody_gives_a_key_what_they_do_not_have() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (admin, maria) = (app.admin().await, app.user_named("maria").await);
    for grant in ["*", "users:read", "tasks:*"] {
        let answer = maria.post("/auth/api-keys", json!({"name": "x", "permissions": [grant]})).await;
        assert_eq!(answer.expect(422).json()["errors"][0]["pointer"], "/permissions", "{grant}");
    }
    for grant in ["users:fly", "", "everything", "users:read users:write", "*:*"] {
        let answer = admin.post("/auth/api-keys", json!({"name": "x", "permissions": ["*", grant]})).await;
        assert_eq!(answer.expect(422).json()["errors"][0]["pointer"], "/permissions/1", "{grant}");
    }
    for (body, pointer) in [
        (json!({}), "/name"),
        (json!({"name": ""}), "/name"),
        (json!({"name": "x", "scopes": []}), "/scopes"),
        (json!({"name": "x", "expires_in": 59}), "/expires_in"),
        (json!({"name": "x", "expires_in": 31_536_001}), "/expires_in"),
        (json!({"name": "x", "expires_at": "2026-01-01T12:00:30Z"}), "/expires_at"),
        (json!({"name": "x", "expires_at": "2027-01-02T12:00:00Z"}), "/expires_at"),
        (json!({"name": "x", "expires_at": "2026-02-01T12:00:00Z", "expires_in": 60}), "/expires_at"),
        (json!({"name": "x", "permissions": vec!["*"; 21]}), "/permissions"),
    ] {
        let answer = admin.post("/auth/api-keys", body.clone()).await.expect(422);
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    assert_eq!((keys_of(&admin).await.len(), keys_of(&maria).await.len()), (0, 0));
}

#[tokio::test]
async fn making_and_deleting_a_key_takes_a_fresh_proof_and_looking_does_not() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let (program, id) = make(&admin, json!({"name": "a program"})).await;
    app.advance(Duration::minutes(11));
    admin.post("/auth/api-keys", json!({"name": "x"})).await.expect_problem(401, "step_up_required");
    delete(&admin, &id).await.expect_problem(401, "step_up_required");
    assert_eq!(keys_of(&admin).await.len(), 1);
    program.get("/auth/validate").await.expect(200);
    let stepped = admin.post("/auth/step-up", json!({"password": admin.password})).await.expect(200).json();
    let fresh = admin.with_token(stepped["data"]["access_token"].as_str().expect("a token"));
    make(&fresh, json!({"name": "x"})).await;
    delete(&fresh, &id).await.expect(200);
}

#[tokio::test]
async fn only_a_hash_is_kept() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let program = key_with(&admin, &["*"]).await;
    program.get("/auth/validate").await.expect(200);
    let text = program.access_token.clone().expect("a key");
    let name = TableName("halyard-sessions".to_owned());
    let kept = app.table().query(&name, "user#1", Some("api_key#"), 1).await.expect("an item");
    let kept = format!("{:?}", kept.items);
    assert!(kept.contains("hash") && !kept.contains(&text[3..]) && !kept.contains(&text[40..70]), "{kept}");
    let keys = app.redis_values().await;
    assert!(keys.iter().any(|value| value.contains("key_")), "it is cached");
    assert!(keys.iter().all(|value| !value.contains(&text[40..70])));
}

#[tokio::test]
async fn keys_belong_to_their_owner_and_there_are_fifty_at_most() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let (admin, maria) = (app.admin().await, app.user_named("maria").await);
    let (program, id) = make(&maria, json!({"name": "hers"})).await;
    delete(&admin, &id).await.expect_problem(404, "not_found");
    for nothing in ["key_7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "nonsense", "sess_00000000000000000000000000"] {
        delete(&maria, nothing).await.expect_problem(404, "not_found");
    }
    program.get("/api/protected").await.expect(200);
    for n in 1..50 {
        make(&maria, json!({"name": format!("number {n}")})).await;
    }
    maria.post("/auth/api-keys", json!({"name": "too many"})).await.expect_problem(409, "too_many_api_keys");
    delete(&maria, &id).await.expect(200);
    make(&maria, json!({"name": "in its place"})).await;
    assert_eq!(keys_of(&maria).await.len(), 50);
}

#[tokio::test]
async fn twenty_requests_a_minute_are_enough_for_anybody() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let answer = admin.get("/auth/api-keys").await.expect(200);
    assert_eq!(answer.header("ratelimit-policy"), r#""caller";q=20;w=60"#);
}

#[tokio::test]
async fn what_is_remembered_of_deleted_keys_has_a_bound_and_an_end() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let admin = app.admin().await;
    let (_, id) = make(&admin, json!({"name": "the first of many"})).await;
    delete(&admin, &id).await.expect(200);
    // As if another 199 had been made and deleted.
    let name = TableName("halyard-sessions".to_owned());
    let tombstone = app.table().query(&name, "user#1", Some("api_key#"), 1).await.expect("an item").items.remove(0);
    let others = (0..199).map(|n| {
        let (mut item, id) = (tombstone.clone(), format!("key_{n:026}"));
        item.sk = format!("api_key#{id}");
        item.body.insert("id".to_owned(), json!(id));
        item
    });
    app.table().put_all(&name, others.collect()).await.expect("written");
    admin.post("/auth/api-keys", json!({"name": "too many"})).await.expect_problem(409, "too_many_api_keys");
    assert_eq!(keys_of(&admin).await, Vec::<Value>::new());
    app.advance(Duration::days(1));
    let admin = app.admin().await;
    make(&admin, json!({"name": "a day later"})).await;
    assert_eq!(keys_of(&admin).await.len(), 1);
}
