//! API keys: what they may do, how they end, and that nothing of them can be read anywhere.

mod ending;
mod making;
mod outages;
mod owner;
mod races;
mod using;

use chrono::Duration;
use halyard_tests::{Actor, TestApp, TestResponse};
use http::Method;
use serde_json::{Value, json};

use crate::users::{path_of, with_rights};

/// The gateway's cache, the cache of sessions and keys, and one to be past both.
const BOUND: Duration = Duration::seconds(7);

async fn make(owner: &Actor, body: Value) -> (Actor, String) {
    let made = owner.post("/auth/api-keys", body).await.expect(200).json();
    let key = made["data"]["key"].as_str().expect("a key");
    (owner.with_token(key), made["data"]["api_key"]["id"].as_str().expect("a name").to_owned())
}

async fn key_with(owner: &Actor, permissions: &[&str]) -> Actor {
    make(owner, json!({"name": "a program", "permissions": permissions})).await.0
}

async fn delete(owner: &Actor, id: &str) -> TestResponse {
    owner.request(Method::DELETE, &format!("/auth/api-keys/{id}")).send().await
}

async fn keys_of(owner: &Actor) -> Vec<Value> {
    let listed = owner.get("/auth/api-keys").await.expect(200).json();
    listed["data"]["items"].as_array().expect("items").clone()
}

/// An operator called maria, and whom she obeys.
async fn operator(app: &TestApp) -> (Actor, Actor) {
    let admin = app.admin().await;
    let maria = with_rights(app, &admin, "maria", json!({"role": "operator"})).await;
    (admin, maria)
}

/// What a key may do, as `/auth/validate` tells it.
async fn permissions_of(key: &Actor) -> String {
    key.get("/auth/validate").await.expect(200).header("x-auth-permissions").to_owned()
}
