//! Standard Webhooks: what a receiver verifies.

use chrono::Duration;
use halyard_tests::{Actor, Receiver, TestApp};
use serde_json::{Value, json};

use super::finished;

async fn rotate(user: &Actor, body: Value) -> Value {
    user.post("/tasks/webhooks/secret/rotate", body).await.expect(200).json()["data"].take()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().expect("a text")
}

async fn public_keys(user: &Actor) -> Vec<String> {
    let list = user.get("/tasks/webhooks/secret").await.expect(200).json();
    let items = list["data"]["items"].as_array().expect("items");
    items.iter().map(|item| text(item, "public_key").to_owned()).collect()
}

#[tokio::test]
async fn a_webhook_verifies_with_the_secret_and_with_the_public_key() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    let made = rotate(&user, json!({})).await;
    finished(&app, &user, &receiver).await;
    let heard = receiver.take().remove(0);
    assert_eq!(heard.signed_with(text(&made, "secret")), 1);
    assert_eq!(heard.verified_by(text(&made, "public_key")), 1);
    assert_eq!(heard.headers["webhook-timestamp"], app.now().timestamp().to_string());
    let mut forged = heard.clone();
    forged.body.push(b' ');
    assert_eq!((forged.signed_with(text(&made, "secret")), forged.verified_by(text(&made, "public_key"))), (0, 0));
    assert_eq!(public_keys(&user).await, [text(&made, "public_key")]);
}

#[tokio::test]
async fn who_made_no_secret_gets_signatures_that_the_public_key_verifies() {
    let app = TestApp::spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    assert_eq!(public_keys(&user).await, [""; 0]);
    finished(&app, &user, &receiver).await;
    let [key] = public_keys(&user).await.try_into().expect("one");
    assert_eq!(receiver.take()[0].verified_by(&key), 1);
}

#[tokio::test]
async fn both_secrets_sign_while_they_overlap() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let receiver = Receiver::start();
    let user = app.user().await;
    let old = rotate(&user, json!({})).await;
    let new = rotate(&user, json!({"overlap_seconds": 300})).await;
    assert_eq!((&old["version"], &new["version"]), (&json!(1), &json!(2)));
    finished(&app, &user, &receiver).await;
    let heard = receiver.take().remove(0);
    for made in [&old, &new] {
        assert_eq!((heard.signed_with(text(made, "secret")), heard.verified_by(text(made, "public_key"))), (1, 1));
    }
    app.advance(Duration::minutes(6));
    finished(&app, &user, &receiver).await;
    let heard = receiver.take().remove(0);
    assert_eq!((heard.signed_with(text(&old, "secret")), heard.signed_with(text(&new, "secret"))), (0, 1));
    let newest = rotate(&user, json!({"overlap_seconds": 0})).await;
    finished(&app, &user, &receiver).await;
    let heard = receiver.take().remove(0);
    assert_eq!((heard.signed_with(text(&new, "secret")), heard.signed_with(text(&newest, "secret"))), (0, 1));
}

#[tokio::test]
async fn a_secret_is_shown_once_and_kept_sealed() {
    let app = TestApp::spawn().await;
    let user = app.user().await;
    let made = rotate(&user, json!({})).await;
    let secret = text(&made, "secret");
    let shown = user.get("/tasks/webhooks/secret").await.expect(200).text();
    assert!(!shown.contains(&secret[..20]) && shown.contains(&secret[secret.len() - 4..]), "{shown}");
    let kept = app.text("select encode(sealed, 'base64') from webhook_secrets").await;
    assert!(!kept.contains(&secret[6..20]));
    app.advance(Duration::minutes(11));
    user.post("/tasks/webhooks/secret/rotate", json!({})).await.expect_problem(401, "step_up_required");
    let log = app.text("select action || ' ' || target from audit_log order by id desc limit 1").await;
    assert_eq!(log, format!("webhook_secret.rotate user:{}", user.user_id));
}
