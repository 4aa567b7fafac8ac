//! What the audit log says, as tests ask it until it has an endpoint.

use halyard_tests::TestApp;
use serde_json::Value;
use sqlx::Row as _;

/// Every entry of an action, oldest first: who, to what, the details.
pub async fn entries(app: &TestApp, action: &str) -> Vec<(Option<i64>, String, Value)> {
    let sql = "select actor_id, target, detail from audit_log where action = $1 and request_id is not null order by id";
    let rows = sqlx::query(sql).bind(action).fetch_all(&mut app.database().connect().await).await;
    rows.expect("rows").iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}
