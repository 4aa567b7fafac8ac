mod append_only;
mod coverage;
mod list;
mod verify;

use halyard_tests::{Actor, TestApp};
use serde_json::{Value, json};

/// An application whose log has the entry of its administrator and, of these, one for each change of rights of `user`.
pub async fn with_entries(changes: usize) -> (TestApp, Actor, Actor) {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let admin = app.admin().await;
    let user = app.user().await;
    for n in 0..changes {
        app.advance(chrono::Duration::minutes(1));
        let role = if n % 2 == 0 { "operator" } else { "user" };
        admin.patch(&format!("/api/users/{}", user.user_id), json!({"role": role})).await.expect(200);
    }
    (app, admin, user)
}

/// `data` of an answer.
pub async fn data(caller: &Actor, path: &str) -> Value {
    caller.get(path).await.expect(200).json()["data"].take()
}

/// The faults that verification finds, page by page.
pub async fn faults(admin: &Actor, limit: u32) -> Vec<(i64, String)> {
    let (mut found, mut query) = (Vec::new(), format!("?limit={limit}"));
    loop {
        let page = data(admin, &format!("/api/audit/verify{query}")).await;
        let faults = page["faults"].as_array().expect("faults");
        assert_eq!(page["intact"], faults.is_empty(), "{page}");
        assert!(page["checked"].as_u64().is_some_and(|n| n <= limit.into()), "{page}");
        found.extend(
            faults
                .iter()
                .map(|f| (f["id"].as_i64().expect("a number"), f["code"].as_str().expect("a code").to_owned())),
        );
        let Some(next) = page["next_cursor"].as_str() else { return found };
        query = format!("?limit={limit}&cursor={next}");
    }
}

/// Does to the log what its triggers would refuse, as somebody who owns the database can.
pub async fn tamper(app: &TestApp, sql: &str) {
    let off = "alter table audit_log disable trigger user; alter table audit_head disable trigger user;";
    let on = "alter table audit_log enable trigger user; alter table audit_head enable trigger user;";
    app.execute(&format!("{off} {sql}; {on}")).await;
}
