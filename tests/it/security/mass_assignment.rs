//! Fields that a client adds to a body because the row has them.

use halyard_tests::{Actor, TestApp, actor::PASSWORD};
use http::Method;
use serde_json::{Map, Value, json};

/// Columns, claims and what other systems call such things; each with a value that would be worth the trouble.
fn extras() -> Map<String, Value> {
    let parts = [
        json!({
            "id": 1, "user_id": 1, "userId": 1, "uid": 1, "sub": "1", "owner": 1, "owner_id": 1,
            "role": "admin", "Role": "admin", "roles": ["admin"], "role_id": 1, "permissions": ["*"], "scopes": ["*"], "scope": "*",
            "grants": ["*"], "groups": ["admin"], "is_admin": true, "isAdmin": true, "admin": true, "is_superuser": true, "is_staff": true,
            "status": "active", "account_status": "active", "state": "completed", "active": true, "enabled": true, "disabled": false,
            "locked": false, "locked_until": null, "failed_logins": 0,
        }),
        json!({
            "email_verified": true, "emailVerified": true, "verified": true, "email_verified_at": "2026-01-01T00:00:00Z",
            "two_factor_enabled": false, "totp_secret": "JBSWY3DPEHPK3PXP", "amr": ["pwd", "otp"], "auth_time": 4_102_444_800_i64,
            "auth_epoch": -1, "version": 99, "login_count": 99, "last_login": "2030-01-01T00:00:00Z",
            "password_hash": "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAA", "hash": "x", "salt": "x",
        }),
        json!({
            "password_changed_at": "2030-01-01T00:00:00Z", "created_at": "2000-01-01T00:00:00Z", "updated_at": "2000-01-01T00:00:00Z",
            "createdAt": "2000-01-01T00:00:00Z", "session_id": "sess_7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "expires_at": "2099-01-01T00:00:00Z",
            "user": {"id": 1, "role": "admin", "permissions": ["*"]}, "data": {"role": "admin", "permissions": ["*"]},
            "user.role": "admin", "user[role]": "admin", "role[]": "admin", "$set": {"role": "admin"}, "$where": "1",
            "__proto__": {"role": "admin", "permissions": ["*"]}, "constructor": {"prototype": {"role": "admin"}}, "prototype": {"role": "admin"},
        }),
    ];
    parts.iter().flat_map(|part| part.as_object().expect("an object").clone()).collect()
}

/// A body and everything else, except what the body has itself.
fn with_extras(body: &Value) -> Value {
    let mut all = extras();
    all.extend(body.as_object().expect("an object").clone());
    Value::Object(all)
}

/// The same in the query, in the names that a binder might take.
fn path(path: &str) -> String {
    format!("{path}?role=admin&permissions=*&user_id=1&id=1&is_admin=true&account_status=active&user[role]=admin")
}

async fn send(who: &Actor, method: Method, to: &str, body: &Value) -> halyard_tests::TestResponse {
    who.request(method, &path(to)).json(&with_extras(body)).send().await
}

/// A user's row without what the request may change.
async fn row(app: &TestApp, name: &str, but: &[&str]) -> Value {
    let text = app.text(&format!("select row_to_json(u)::text from users u where username = '{name}'")).await;
    let mut row: Value = serde_json::from_str(&text).expect("a row");
    for column in but {
        assert!(row.as_object_mut().expect("a row").remove(*column).is_some(), "{column}");
    }
    row
}

const OWN: &[&str] = &["id", "username", "email", "password_hash"];

#[tokio::test]
async fn register_makes_the_same_account_whatever_else_is_asked_for() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let body = |name: &str| json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD});
    let plain = app.anonymous().post("/auth/register", body("maria")).await.expect(200);
    let greedy = send(&app.anonymous(), Method::POST, "/auth/register", &body("mallory")).await.expect(200);
    assert_eq!(row(&app, "mallory", OWN).await, row(&app, "maria", OWN).await);
    let id = &greedy.json()["data"]["user"]["id"];
    assert!(id.as_i64() > plain.json()["data"]["user"]["id"].as_i64(), "the number is the database's: {id}");
    let stored = row(&app, "mallory", &[]).await;
    assert!(!stored["password_hash"].as_str().expect("a hash").contains("AAAAAAAAAAA"));
    app.login("mallory", PASSWORD).await.get("/tasks/queues").await.expect(403);
}

#[tokio::test]
async fn a_profile_takes_its_four_fields_and_no_other() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user_named("mallory").await;
    let changed = ["full_name", "email", "department", "preferences", "version", "updated_at"];
    let before = row(&app, "mallory", &changed).await;
    let body = json!({"full_name": "M", "email": "m@example.com", "department": "D", "preferences": {"role": "admin"}});
    let answer = send(&user, Method::PUT, "/auth/profile", &body).await.expect(200).json();
    assert_eq!(row(&app, "mallory", &changed).await, before);
    let user_view = &answer["data"]["user"];
    assert_eq!((&user_view["role"], &user_view["permissions"]), (&json!("user"), &json!([])));
    // Nothing but extras: nothing but the version may change.
    let before = row(&app, "mallory", &["version", "updated_at"]).await;
    send(&user, Method::PUT, "/auth/profile", &json!({})).await.expect(200);
    assert_eq!(row(&app, "mallory", &["version", "updated_at"]).await, before);
    // Preferences are data, not rights.
    user.get("/tasks/queues").await.expect(403);
    app.login("mallory", PASSWORD).await.get("/tasks/queues").await.expect(403);
}

#[tokio::test]
async fn login_refresh_and_password_grant_and_change_nothing_beside_themselves() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user_named("mallory").await;
    let noted = ["last_login", "login_count", "updated_at", "version"];
    let before = row(&app, "mallory", &noted).await;
    let credentials = json!({"username": "mallory", "password": PASSWORD});
    let login = send(&app.anonymous(), Method::POST, "/auth/login", &credentials).await.expect(200);
    let refresh = json!({"refresh_token": login.json()["data"]["refresh_token"]});
    let refreshed = send(&app.anonymous(), Method::POST, "/auth/refresh", &refresh).await.expect(200);
    assert_eq!(row(&app, "mallory", &noted).await, before);
    for answer in [&login, &refreshed] {
        let token = answer.json()["data"]["access_token"].as_str().expect("a token").to_owned();
        let claims = halyard_tests::response::token(&token).expect("a token")["claims"].take();
        assert_eq!(claims["sub"], user.user_id.to_string(), "{claims}");
        assert!(!claims.to_string().contains("admin") && !claims.to_string().contains("\"*\""), "{claims}");
        let caller = user.with_token(&token);
        assert_eq!(caller.get("/api/protected").await.expect(200).json()["data"]["user"]["permissions"], json!([]));
        caller.get("/tasks/queues").await.expect(403);
    }
    // A new endpoint refuses what it does not know.
    let change = json!({"current_password": PASSWORD, "new_password": "another horse battery"});
    send(&user, Method::POST, "/auth/password", &change).await.expect_problem(422, "validation_failed");
    assert_eq!(row(&app, "mallory", &noted).await, before);
}

#[tokio::test]
async fn a_task_is_the_callers_new_and_unfinished_whatever_the_body_says() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    app.leave_unfinished();
    let user = app.user_named("mallory").await;
    let body = json!({
        "task_type": "sample", "data": {"user_id": 1, "role": "admin"},
        "task_id": "task_7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "lane": "high", "attempt": 9, "failures": -9, "fence": 99, "result": {"x": 1},
        "error": "x", "progress": {"percentage": 100}, "worker_id": "me", "lease_until": "2099-01-01T00:00:00Z",
        "ended_at": "2026-01-01T00:00:00Z", "started_at": "2000-01-01T00:00:00Z", "available_at": "2000-01-01T00:00:00Z",
        "claim_order": "2000-01-01T00:00:00Z", "request_id": "req_mine", "traceparent": "mine", "cancel_requested": true,
    });
    let plain = user.submit(json!({"task_type": "sample", "data": {"user_id": 1, "role": "admin"}})).await;
    let mut body = with_extras(&body);
    // The one extra that the route reads itself.
    body["data"] = json!({"user_id": 1, "role": "admin"});
    let answer = user.request(Method::POST, &path("/tasks/submit")).json(&body).send().await.expect(200).json();
    let greedy = answer["data"]["task_id"].as_str().expect("an id");
    assert_ne!(greedy, "task_7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    let rows = app.text(
        "select json_agg(r order by id)::text from (select id, row_to_json(t)::jsonb
           - 'id' - 'request_id' - 'traceparent' as r from tasks t) x (id, r)",
    );
    let rows: Value = serde_json::from_str(&rows.await).expect("rows");
    assert_eq!(rows[0], rows[1]);
    assert_eq!(rows[0]["user_id"], user.user_id);
    let (mut a, mut b) = (user.task(&plain).await, user.task(greedy).await);
    for task in [&mut a, &mut b] {
        task["task_id"].take();
    }
    assert_eq!(a, b);
    app.admin().await.post(&format!("/tasks/cancel/{greedy}"), with_extras(&json!({"reason": "x"}))).await.expect(200);
}
