//! What the notifier's statements read, whatever the server last heard of the tables.

use halyard_store::{
    PgConnection,
    webhooks::{self, Outcome, Settled},
};

use super::scratch::{Scratch, report, rows_read, s, t0};

/// Deliveries of the first user, whose numbers begin with these digits.
async fn deliveries(conn: &mut PgConnection, begin: &str, count: i64, state: &str) {
    let sql = "
        insert into webhook_deliveries
            (id, source, user_id, event_at, planned_at, due_at, ended_at, sequence, source_kind, event, state, url, data)
        select id, id, 1, $1, $1, $1, case when $2 <> 'owed' then $1 end, 1, 'task', 'completed', $2,
               'https://hooks.example.com/told', '{}'
        from generate_series(1, $3) i, lateral (select ($4 || lpad(to_hex(i), 24, '0'))::uuid as id) made";
    let insert = sqlx::query(sql).bind(t0()).bind(state).bind(count).bind(begin);
    insert.execute(conn).await.expect("owed");
}

#[tokio::test]
async fn outcomes_are_noted_without_reading_what_else_is_owed() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    let owner = "insert into users (id, username, email, password_hash, created_at, updated_at, password_changed_at)
                 overriding system value values (1, 'ada', 'ada@example.com', '-', now(), now(), now())";
    sqlx::raw_sql(owner).execute(&mut *conn).await.expect("somebody whose they are");
    // The server takes stock at a moment at which nothing is owed.
    deliveries(conn, "00000001", 5_000, "delivered").await;
    sqlx::raw_sql("vacuum analyze webhook_deliveries").execute(&mut *conn).await.expect("done");
    deliveries(conn, "00000002", 2_000, "owed").await;
    let claimed = webhooks::claim(conn, 20, Some(t0() + s(1))).await.expect("an answer").deliveries;
    assert_eq!(claimed.len(), 20);
    let end = |delivery: &webhooks::Claimed| Settled {
        id: delivery.id,
        fence: delivery.fence,
        outcome: Outcome::Delivered,
        status: Some(200),
        error: None,
        response: None,
        took: std::time::Duration::from_millis(20),
    };
    let ends: Vec<Settled> = claimed.iter().map(end).collect();
    report(conn).await;
    let before = rows_read(&db, "webhook_deliveries").await;
    assert_eq!(webhooks::settle(conn, &ends, Some(t0() + s(2))).await.expect("an answer"), []);
    report(conn).await;
    let rows = rows_read(&db, "webhook_deliveries").await - before;
    assert!(rows <= 80, "{rows} rows were read to note twenty outcomes");
    assert_eq!(db.count("select count(*) from webhook_deliveries where ended_at > '2026-01-02 03:04:06Z'").await, 20);
    db.done().await;
}
