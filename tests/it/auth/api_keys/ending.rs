//! How keys end, and what does not end them.

use chrono::Duration;
use halyard_tests::TestApp;
use serde_json::{Value, json};

use super::{BOUND, delete, key_with, keys_of, make};
use crate::auth::audited;

#[tokio::test]
async fn a_key_is_shown_once_and_works_until_it_is_deleted() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    let body = json!({"name": "scraper", "permissions": ["metrics:read"], "expires_in": 86_400});
    let made = admin.post("/auth/api-keys", body).await.expect(200).json();
    let key = made["data"]["key"].as_str().expect("a key");
    assert!(key.starts_with("hk_"));
    assert_eq!(made["data"]["api_key"]["expires_at"], "2026-01-02T12:00:00Z");
    let program = admin.with_token(key);
    program.get("/api/protected").await.expect(200);
    let listed = admin.get("/auth/api-keys").await.expect(200);
    assert!(!listed.text().contains("hk_") && !listed.text().contains("hash"), "{}", listed.text());
    assert_eq!(listed.json()["data"]["items"][0]["name"], "scraper");
    let id = made["data"]["api_key"]["id"].as_str().expect("a name");
    delete(&admin, id).await.expect(200);
    program.get("/auth/validate").await.expect_problem(401, "token_revoked");
    app.advance(BOUND);
    for path in ["/api/protected", "/tasks", "/auth/profile", "/tasks/stats"] {
        program.get(path).await.expect_problem(401, "token_revoked");
    }
    assert_eq!(keys_of(&admin).await, Vec::<Value>::new());
    delete(&admin, id).await.expect_problem(404, "not_found");
    let made = audited::entries(&app, "api_key.create").await;
    assert_eq!((made[0].0, &made[0].1, &made[0].2["name"]), (Some(1), &format!("api_key:{id}"), &json!("scraper")));
    assert_eq!(audited::entries(&app, "api_key.delete").await.len(), 1);
}

#[tokio::test]
async fn a_key_ends_at_its_time_and_after_a_year_at_the_latest() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let admin = app.admin().await;
    let short = make(&admin, json!({"name": "short", "expires_in": 60})).await.0;
    let dated = make(&admin, json!({"name": "dated", "expires_at": "2026-01-01T13:00:00Z"})).await.0;
    let long = make(&admin, json!({"name": "long"})).await.0;
    for (after, alive) in [(59, 3), (1 + 5, 2), (3600 - 65, 1), (31_536_000, 0)] {
        app.advance(Duration::seconds(after));
        let mut good = 0;
        for key in [&short, &dated, &long] {
            good += usize::from(key.get("/api/protected").await.code() == 200);
        }
        assert_eq!(good, alive, "{}", app.now_text());
    }
}

#[tokio::test]
async fn keys_outlive_passwords_and_sessions() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let maria = app.user_named("maria").await;
    let program = key_with(&maria, &[]).await;
    program.get("/api/protected").await.expect(200);
    let body = json!({"current_password": maria.password, "new_password": "another horse battery"});
    maria.post("/auth/password", body).await.expect(200);
    program.get("/auth/validate").await.expect(200);
    maria.post("/auth/logout-all", json!({})).await.expect(200);
    program.get("/auth/validate").await.expect(200);
    app.advance(BOUND);
    program.get("/api/protected").await.expect(200);
    app.forget_redis().await;
    program.get("/auth/validate").await.expect(200);
}
