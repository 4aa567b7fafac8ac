use http::Method;
use serde_json::json;

use super::{app, path_of, read, with_rights};
use crate::{assert_snapshot, auth::audited};

#[tokio::test]
async fn a_change_of_rights_is_kept_and_shown_and_audited_with_what_was_before() {
    let app = app().await;
    let admin = app.admin().await;
    let maria = app.user_named("maria").await;
    let change = json!({"role": "operator", "permissions": ["users:write", "users:read", "users:write"]});
    assert_snapshot!("promoted", admin.patch(&path_of(&maria), change).await.expect(200));
    let user = read(&admin, &maria).await;
    assert_eq!(user["permissions"], json!(["users:read", "users:write"]), "as a set, once each");
    admin.patch(&path_of(&maria), json!({"account_status": "disabled"})).await.expect(200);
    let entries = audited::entries(&app, "user.update").await;
    assert_eq!(entries.len(), 2);
    let (actor, target, detail) = &entries[1];
    assert_eq!((*actor, target), (Some(1), &format!("user:{}", maria.user_id)));
    let rights = |status: &str| json!({"role": "operator", "permissions": ["users:read", "users:write"], "account_status": status});
    assert_eq!(detail["before"], rights("active"));
    assert_eq!(detail["after"], rights("disabled"));
}

#[tokio::test]
async fn what_a_patch_leaves_out_stays_and_null_takes_the_grants_away() {
    let app = app().await;
    let admin = app.admin().await;
    let rights = json!({"role": "operator", "permissions": ["users:write"]});
    let olga = with_rights(&app, &admin, "olga", rights).await;
    let after = admin.patch(&path_of(&olga), json!({"role": "user"})).await.expect(200).json();
    assert_eq!(after["data"]["permissions"], json!(["users:write"]));
    let after = admin.patch(&path_of(&olga), json!({"permissions": null})).await.expect(200).json();
    assert_eq!(after["data"]["permissions"], json!([]));
    assert_eq!(after["data"]["role"], "user");
}

#[tokio::test]
async fn a_change_over_a_stale_copy_is_refused() {
    let app = app().await;
    let admin = app.admin().await;
    let maria = app.user_named("maria").await;
    let path = path_of(&maria);
    let tag = admin.get(&path).await.expect(200).header("etag").to_owned();
    let change = async |tag: &str, role: &str| {
        let draft = admin.request(Method::PATCH, &path).header("if-match", tag);
        draft.json(&json!({"role": role})).send().await
    };
    let changed = change(&tag, "operator").await.expect(200);
    assert_ne!(changed.header("etag"), tag);
    assert_snapshot!("stale", change(&tag, "user").await.expect(412));
    assert_eq!(read(&admin, &maria).await["role"], "operator");
    change(changed.header("etag"), "user").await.expect(200);
    change("*", "operator").await.expect(200);
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_no_new_version_ends_nothing_and_is_not_audited() {
    let app = app().await;
    let admin = app.admin().await;
    let olga = with_rights(&app, &admin, "olga", json!({"permissions": ["users:read", "metrics:read"]})).await;
    let path = path_of(&olga);
    let before = admin.get(&path).await.expect(200);
    for same in [
        json!({}),
        json!({"role": "user"}),
        json!({"permissions": ["metrics:read", "users:read", "users:read"], "account_status": "active"}),
    ] {
        let after = admin.patch(&path, same).await.expect(200);
        assert_eq!((after.header("etag"), after.json()), (before.header("etag"), before.json()));
    }
    app.advance(super::BOUND);
    olga.get("/api/users").await.expect(200);
    assert_eq!(audited::entries(&app, "user.update").await.len(), 1);
}

#[tokio::test]
async fn nothing_but_rights_can_be_changed() {
    let app = app().await;
    let admin = app.admin().await;
    let maria = app.user_named("maria").await;
    let before = admin.get(&path_of(&maria)).await.expect(200).json();
    for (field, value) in [
        ("password_hash", json!("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA")),
        ("password", json!("another password")),
        ("id", json!(1)),
        ("user_id", json!(1)),
        ("username", json!("root")),
        ("email", json!("other@example.com")),
        ("email_verified", json!(true)),
        ("two_factor_enabled", json!(false)),
        ("auth_epoch", json!(0)),
        ("version", json!(1)),
        ("status", json!("disabled")),
        ("effective_permissions", json!(["*"])),
        ("login_count", json!(0)),
        ("__proto__", json!({"role": "admin"})),
    ] {
        let mut body = json!({"role": "operator"});
        body[field] = value;
        let answer = admin.patch(&path_of(&maria), body).await.expect_problem(422, "validation_failed").json();
        assert_eq!(answer["errors"][0]["code"], "unknown_field", "{field}: {answer}");
    }
    assert_eq!(admin.get(&path_of(&maria)).await.expect(200).json(), before);
    maria.get("/api/protected").await.expect(200);
}

#[tokio::test]
async fn a_bad_value_is_named() {
    let app = app().await;
    let admin = app.admin().await;
    let maria = app.user_named("maria").await;
    let path = path_of(&maria);
    for (body, pointer) in [
        (json!({"role": "king"}), "/role"),
        (json!({"role": null}), "/role"),
        (json!({"role": "Admin"}), "/role"),
        (json!({"role": 7}), "/role"),
        (json!({"account_status": null}), "/account_status"),
        (json!({"account_status": "locked"}), "/account_status"),
        (json!({"permissions": "users:read"}), "/permissions"),
        (json!({"permissions": [7]}), "/permissions/0"),
        (json!({"permissions": ["users:read", "users:delete"]}), "/permissions/1"),
        (json!({"permissions": ["users:read\u{0}"]}), "/permissions/0"),
        (json!({"permissions": vec!["users:read"; 33]}), "/permissions"),
        (json!([]), ""),
        (json!(["admin"]), ""),
        (json!(["admin", ["*"], "active"]), ""),
        (json!("role"), ""),
    ] {
        let answer = admin.patch(&path, body.clone()).await.expect_problem(422, "validation_failed").json();
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{body}: {answer}");
    }
    let twice = r#"{"role": "user", "role": "admin"}"#;
    let send = async |kind: &'static str, body: &'static str| {
        admin.request(Method::PATCH, &path).header("content-type", kind).body(body).send().await
    };
    send("application/json", twice).await.expect(422);
    send("application/json", "{").await.expect_problem(400, "malformed_json");
    send("text/plain", "{}").await.expect_problem(415, "unsupported_media_type");
    send("application/merge-patch+json", "{}").await.expect(200);
    assert_eq!(read(&admin, &maria).await["role"], "user");
}

#[tokio::test]
async fn changes_of_one_account_at_once_are_all_made_one_after_the_other() {
    let app = app().await;
    let admin = app.admin().await;
    let maria = app.user_named("maria").await;
    let path = path_of(&maria);
    let changes =
        [json!({"role": "operator"}), json!({"permissions": ["users:read"]}), json!({"account_status": "disabled"})];
    let answers = futures::future::join_all(changes.map(|change| admin.patch(&path, change))).await;
    for answer in answers {
        answer.expect(200);
    }
    let user = read(&admin, &maria).await;
    assert_eq!(user["role"], "operator");
    assert_eq!(user["permissions"], json!(["users:read"]));
    assert_eq!(user["account_status"], "disabled");
    assert_eq!(audited::entries(&app, "user.update").await.len(), 3);
}
