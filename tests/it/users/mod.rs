mod change;
mod escalation;
mod last_admin;
mod list;
mod outage;
mod read;
mod sessions;

use halyard_tests::{Actor, TestApp};
use serde_json::{Value, json};

/// Authorizer cache 5 s, session cache 1 s.
pub const BOUND: chrono::Duration = chrono::Duration::seconds(6);

/// An application in which callers sign in as often as tests need it.
pub async fn app() -> TestApp {
    TestApp::builder().without_rate_limits().spawn().await
}

/// Where an account is administered.
pub fn path_of(user: &Actor) -> String {
    format!("/api/users/{}", user.user_id)
}

/// A user of this name whose rights `admin` has changed, signed in anew.
pub async fn with_rights(app: &TestApp, admin: &Actor, name: &str, rights: Value) -> Actor {
    let mut user = app.user_named(name).await;
    admin.patch(&path_of(&user), rights).await.expect(200);
    user.sign_in().await;
    user
}

/// Somebody who looks after users, and may do nothing else.
pub async fn clerk(app: &TestApp, admin: &Actor) -> Actor {
    with_rights(app, admin, "clerk", json!({"permissions": ["users:read", "users:write"]})).await
}

/// `data` of an account.
pub async fn read(admin: &Actor, user: &Actor) -> Value {
    admin.get(&path_of(user)).await.expect(200).json()["data"].take()
}
