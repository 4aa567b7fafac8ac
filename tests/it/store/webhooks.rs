//! Statements about webhooks: what they read, whatever the server last heard of the tables, and two of them at once.

use chrono::Duration;
use halyard_domain::UserId;
use halyard_store::{
    PgConnection,
    webhooks::{self, NewSecret, Outcome, Settled},
};

use super::scratch::{Scratch, entry, report, rows_read, s, t0};

/// Deliveries of the first user, whose numbers begin with these digits.
pub async fn deliveries(conn: &mut PgConnection, begin: &str, count: i64, state: &str) {
    let sql = "
        insert into webhook_deliveries
            (id, source, user_id, event_at, planned_at, due_at, ended_at, sequence, source_kind, event, state, url, data)
        select id, id, 1, $1, $1, $1, case when $2 <> 'owed' then $1 end, 1, 'task', 'completed', $2,
               'https://hooks.example.com/told', '{}'
        from generate_series(1, $3) i, lateral (select ($4 || lpad(to_hex(i), 24, '0'))::uuid as id) made";
    let insert = sqlx::query(sql).bind(t0()).bind(state).bind(count).bind(begin);
    insert.execute(conn).await.expect("owed");
}

/// Where they go.
const TOLD: &str = "https://hooks.example.com/told";

/// Somebody whose they are.
async fn owner(conn: &mut PgConnection) {
    let sql = "insert into users (id, username, email, password_hash, created_at, updated_at, password_changed_at)
               overriding system value values (1, 'ada', 'ada@example.com', '-', now(), now(), now())";
    sqlx::raw_sql(sql).execute(conn).await.expect("a user");
}

/// Thirty that are owed to one endpoint, and then two to another.
async fn much_for_one_and_little_for_another(conn: &mut PgConnection) {
    deliveries(conn, "00000001", 30, "owed").await;
    deliveries(conn, "00000002", 2, "owed").await;
    let other = "update webhook_deliveries set url = 'https://other.example.com/' where id >= '00000002-0000-0000-0000-000000000000'";
    sqlx::raw_sql(other).execute(conn).await.expect("of another endpoint");
}

/// Makes a new secret; its version.
async fn rotate(conn: &mut PgConnection) -> i32 {
    let secret = NewSecret { user: UserId(1), sealed: b"sealed", public_key: b"public", hint: "hint" };
    let rotated =
        webhooks::rotate(conn, &secret, Duration::hours(1), &entry("webhook_secret.rotate"), Some(t0())).await;
    rotated.expect("a secret")
}

#[tokio::test]
async fn of_two_who_rotate_at_once_each_makes_a_secret() {
    let db = Scratch::new().await;
    let mut conn = db.pool.acquire().await.expect("a connection");
    owner(&mut conn).await;
    assert_eq!(rotate(&mut conn).await, 1);
    let mut tx = conn.begin().await.expect("begun");
    assert_eq!(rotate(&mut tx).await, 2);
    let pool = db.pool.clone();
    let other = tokio::spawn(async move { rotate(&mut pool.acquire().await.expect("a connection")).await });
    db.until_one_waits().await;
    tx.commit().await.expect("committed");
    assert_eq!(other.await.expect("an answer"), 3);
    assert_eq!(db.count("select count(*) from webhook_secrets where expires_at is null").await, 1);
    db.done().await;
}

#[tokio::test]
async fn an_endpoint_with_much_due_does_not_take_all_the_room() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    owner(conn).await;
    much_for_one_and_little_for_another(conn).await;
    let claimed = webhooks::claim(conn, 20, &[], Some(t0() + s(1))).await.expect("an answer").deliveries;
    let others = claimed.iter().filter(|delivery| delivery.url == "https://other.example.com/").count();
    assert_eq!((claimed.len(), others), (20, 2));
    db.done().await;
}

#[tokio::test]
async fn what_is_not_due_or_not_old_is_not_read_either() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    owner(conn).await;
    deliveries(conn, "00000001", 2_000, "owed").await;
    deliveries(conn, "00000002", 2_000, "delivered").await;
    sqlx::raw_sql("vacuum analyze webhook_deliveries").execute(&mut *conn).await.expect("done");
    report(conn).await;
    let before = rows_read(&db, "webhook_deliveries").await;
    let claimed = webhooks::claim(conn, 20, &[], Some(t0() - s(1))).await.expect("an answer");
    assert!(claimed.deliveries.is_empty() && !claimed.more);
    assert_eq!(webhooks::sweep(conn, Duration::days(30), 100, Some(t0())).await.expect("an answer"), 0);
    report(conn).await;
    let rows = rows_read(&db, "webhook_deliveries").await - before;
    assert_eq!(rows, 0, "nothing was due, and nothing old");
    db.done().await;
}

#[tokio::test]
async fn what_is_due_for_a_busy_endpoint_is_put_off_and_the_others_are_looked_at() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    owner(conn).await;
    much_for_one_and_little_for_another(conn).await;
    let busy = [(UserId(1), TOLD.to_owned())];
    let first = webhooks::claim(conn, 10, &busy, Some(t0() + s(1))).await.expect("an answer");
    assert_eq!((first.deliveries.len(), first.more), (0, true), "all that it looked at is the busy one's");
    let second = webhooks::claim(conn, 10, &busy, Some(t0() + s(1))).await.expect("an answer");
    let urls: Vec<&str> = second.deliveries.iter().map(|delivery| delivery.url.as_str()).collect();
    assert_eq!((urls, second.more), (vec!["https://other.example.com/"; 2], false));
    assert_eq!(webhooks::overdue(conn, 100, Some(t0() + s(30))).await.expect("an answer"), 0);
    // The same URL of somebody else is another endpoint.
    let busy = [(UserId(2), TOLD.to_owned())];
    let third = webhooks::claim(conn, 10, &busy, Some(t0() + s(31))).await.expect("an answer");
    assert_eq!((third.deliveries.len(), third.more), (10, true));
    db.done().await;
}

/// An endpoint that is known since, and was last heard of, so many days ago.
async fn endpoint(conn: &mut PgConnection, name: &str, made: i32, taken: Option<i32>, failed: Option<i32>) {
    let sql = "
        insert into webhook_endpoints (user_id, url_hash, url, created_at, last_success_at, last_failure_at)
        select 1, sha256(convert_to($1, 'UTF8')), $1, $2 - make_interval(days => $3), $2 - make_interval(days => $4),
               $2 - make_interval(days => $5)";
    let insert = sqlx::query(sql).bind(name).bind(t0()).bind(made).bind(taken).bind(failed);
    insert.execute(conn).await.expect("known");
}

#[tokio::test]
async fn endpoints_that_were_silent_for_a_month_are_forgotten_unless_they_are_disabled() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    endpoint(conn, "taken once", 50, Some(32), None).await;
    endpoint(conn, "failed once", 50, None, Some(40)).await;
    endpoint(conn, "in use", 50, Some(29), Some(40)).await;
    endpoint(conn, "out of order", 50, Some(40), Some(29)).await;
    endpoint(conn, "new", 1, None, None).await;
    endpoint(conn, "disabled", 50, Some(45), Some(40)).await;
    let disable =
        "update webhook_endpoints set disabled_at = last_failure_at, disabled_reason = 'gone' where url = 'disabled'";
    sqlx::raw_sql(disable).execute(&mut *conn).await.expect("done");
    for (limit, gone) in [(1, 1), (10, 1), (10, 0)] {
        let forgotten = webhooks::forget_endpoints(conn, Duration::days(30), limit, Some(t0())).await;
        assert_eq!(forgotten.expect("an answer"), gone);
    }
    let left = "select string_agg(url, ', ' order by url collate \"C\") from webhook_endpoints";
    let left: String = sqlx::query_scalar(left).fetch_one(&mut *conn).await.expect("some");
    assert_eq!(left, "disabled, in use, new, out of order");
    db.done().await;
}

#[tokio::test]
async fn an_endpoint_that_is_heard_of_at_this_moment_is_not_forgotten() {
    let db = Scratch::new().await;
    let mut conn = db.pool.acquire().await.expect("a connection");
    endpoint(&mut conn, "silent", 50, Some(40), None).await;
    let mut tx = conn.begin().await.expect("begun");
    sqlx::query("update webhook_endpoints set last_success_at = $1").bind(t0()).execute(&mut *tx).await.expect("heard");
    let other = &mut *db.pool.acquire().await.expect("a connection");
    let forgotten = webhooks::forget_endpoints(other, Duration::days(30), 10, Some(t0())).await;
    assert_eq!(forgotten.expect("an answer, without waiting"), 0);
    tx.commit().await.expect("committed");
    let forgotten = webhooks::forget_endpoints(other, Duration::days(30), 10, Some(t0())).await;
    assert_eq!(forgotten.expect("an answer"), 0);
    db.done().await;
}

#[tokio::test]
async fn silent_endpoints_are_found_without_reading_the_others() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    let many = "
        insert into webhook_endpoints (user_id, url_hash, url, created_at, last_success_at)
        select 1, sha256(convert_to(i::text, 'UTF8')), i, $1 - interval '50 days', $1 - interval '1 day'
        from generate_series(1, 2000) i";
    sqlx::query(many).bind(t0()).execute(&mut *conn).await.expect("known");
    sqlx::raw_sql("vacuum analyze webhook_endpoints").execute(&mut *conn).await.expect("done");
    endpoint(conn, "silent", 50, Some(40), None).await;
    report(conn).await;
    let before = rows_read(&db, "webhook_endpoints").await;
    let forgotten = webhooks::forget_endpoints(conn, Duration::days(30), 100, Some(t0())).await;
    assert_eq!(forgotten.expect("an answer"), 1);
    report(conn).await;
    let rows = rows_read(&db, "webhook_endpoints").await - before;
    assert!(rows <= 3, "{rows} rows were read to forget one");
    db.done().await;
}

#[tokio::test]
async fn outcomes_are_noted_without_reading_what_else_is_owed() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    owner(conn).await;
    // The server takes stock at a moment at which nothing is owed.
    deliveries(conn, "00000001", 5_000, "delivered").await;
    sqlx::raw_sql("vacuum analyze webhook_deliveries").execute(&mut *conn).await.expect("done");
    deliveries(conn, "00000002", 2_000, "owed").await;
    let claimed = webhooks::claim(conn, 20, &[], Some(t0() + s(1))).await.expect("an answer").deliveries;
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
