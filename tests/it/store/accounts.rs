//! Accounts, nodes, and the pool.

use super::scratch::{Scratch, s, t0};
use halyard_domain::{Entropy, MailId, NodeId, user::Role};
use halyard_store::{
    Constraint, StoreError, audit, nodes,
    users::{self, AddressMails, NewUser, ProfileChange},
};

/// The id of a mail that nobody else writes.
fn a_mail() -> MailId {
    MailId(Entropy::from_os().expect("randomness").ulid(t0()))
}

fn two_mails() -> AddressMails {
    AddressMails { verification: a_mail(), notice: a_mail() }
}

fn ada() -> NewUser {
    NewUser {
        username: "Ada".into(),
        email: "Ada@example.org".into(),
        full_name: None,
        password_hash: "$argon2id$".into(),
        role: Role::User,
    }
}

#[tokio::test]
async fn names_and_verified_addresses_are_unique_without_regard_to_case() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let user = users::insert(conn, &ada(), a_mail(), Some(t0())).await.unwrap();
    let same_name = NewUser { username: "ADA".into(), email: "other@example.org".into(), ..ada() };
    let same_mail = NewUser { username: "other".into(), email: "ada@EXAMPLE.org".into(), ..ada() };
    let refused = users::insert(conn, &same_name, a_mail(), None).await;
    assert!(matches!(refused, Err(StoreError::Conflict(Constraint::UsernameTaken))), "{refused:?}");
    users::insert(conn, &same_mail, a_mail(), None).await.unwrap();
    assert!(users::by_login(conn, "ada@example.org").await.unwrap().is_none(), "nobody has verified it");
    let verify = "update users set email_verified = true where username = $1";
    sqlx::query(verify).bind("Ada").execute(&mut *conn).await.unwrap();
    let refused = sqlx::query(verify).bind("other").execute(&mut *conn).await;
    assert!(refused.is_err_and(|e| e.to_string().contains("users_verified_email_key")));
    let user = users::by_id(conn, user.id).await.unwrap().unwrap();
    for login in ["ada", "ADA", "ada@example.ORG"] {
        assert_eq!(users::by_login(conn, login).await.unwrap().as_ref(), Some(&user));
    }
    assert!(users::by_login(conn, "nobody").await.unwrap().is_none());
    users::record_login(conn, user.id, Some(t0() + s(5))).await.unwrap();
    let seen = users::by_id(conn, user.id).await.unwrap().unwrap();
    assert_eq!((seen.login_count, seen.last_login), (1, Some(t0() + s(5))));
    db.done().await;
}

#[tokio::test]
async fn a_profile_changes_only_what_is_given_and_only_from_the_version_expected() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let user = users::insert(conn, &ada(), a_mail(), Some(t0())).await.unwrap();
    let change = ProfileChange { full_name: Some(Some("Ada L.".into())), ..ProfileChange::default() };
    let changed =
        users::update_profile(conn, user.id, &change, Some(1), two_mails(), Some(t0() + s(1))).await.unwrap().unwrap();
    assert_eq!((changed.version, changed.full_name.as_deref(), changed.updated_at), (2, Some("Ada L."), t0() + s(1)));
    assert!(
        users::update_profile(conn, user.id, &change, Some(1), two_mails(), None).await.unwrap().is_none(),
        "stale version"
    );
    let change = ProfileChange {
        full_name: Some(None),
        department: Some(Some("Engines".into())),
        email: Some("countess@example.org".into()),
        preferences: Some(serde_json::json!({"timezone": "UTC"})),
    };
    let changed = users::update_profile(conn, user.id, &change, None, two_mails(), None).await.unwrap().unwrap();
    assert_eq!((changed.full_name, changed.department.as_deref()), (None, Some("Engines")));
    assert_eq!((changed.email.as_str(), changed.email_verified), ("countess@example.org", false));
    assert_eq!(changed.preferences["timezone"], "UTC");
    users::insert(conn, &NewUser { username: "bob".into(), email: "bob@example.org".into(), ..ada() }, a_mail(), None)
        .await
        .unwrap();
    let taken = ProfileChange { email: Some("BOB@example.org".into()), ..ProfileChange::default() };
    let changed = users::update_profile(conn, user.id, &taken, None, two_mails(), None).await.unwrap().unwrap();
    assert_eq!((changed.email.as_str(), changed.email_verified), ("BOB@example.org", false));
    db.done().await;
}

#[tokio::test]
async fn the_administrator_is_made_once() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let admin = NewUser { role: Role::Admin, ..ada() };
    assert!(users::ensure_admin(conn, &admin, Some(t0())).await.unwrap());
    let again = NewUser { password_hash: "other".into(), ..admin };
    assert!(!users::ensure_admin(conn, &again, Some(t0())).await.unwrap());
    assert_eq!(users::by_login(conn, "ada").await.unwrap().unwrap().password_hash, "$argon2id$");
    let next = users::insert(
        conn,
        &NewUser { username: "bob".into(), email: "b@example.org".into(), ..ada() },
        a_mail(),
        None,
    )
    .await;
    assert_eq!(next.unwrap().id.0, 2, "no number is lost");
    db.done().await;
}

#[tokio::test]
async fn nodes_are_active_for_a_minute_and_forgotten_after_an_hour() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let seen = nodes::NodeSeen {
        node_id: NodeId("n1".into()),
        hostname: "h".into(),
        role: "worker".into(),
        ip_address: Some("127.0.0.1".into()),
        port: None,
        response_time_ms: None,
        cpu_usage: Some(12.5),
        memory_usage: None,
        requests_per_minute: None,
        error_rate: None,
        capacity: Some(10),
        processed: 3,
    };
    nodes::heartbeat(conn, &seen, Some(t0())).await.unwrap();
    nodes::heartbeat(conn, &seen, Some(t0() + s(10))).await.unwrap();
    let list = nodes::list(conn, Some(t0() + s(69))).await.unwrap();
    assert_eq!((list.len(), list[0].active, list[0].processed, list[0].cpu_usage), (1, true, 6, Some(12.5)));
    assert!(!nodes::list(conn, Some(t0() + s(70))).await.unwrap()[0].active);
    let workers = halyard_store::statistics::overview(conn, None, Some(t0() + s(30))).await.unwrap().workers;
    assert_eq!((workers.len(), workers[0].capacity, workers[0].processed), (1, Some(10), 6));
    assert_eq!(nodes::sweep(conn, Some(t0() + s(3600))).await.unwrap(), 0);
    assert_eq!(nodes::sweep(conn, Some(t0() + s(3611))).await.unwrap(), 1);
    db.done().await;
}

#[tokio::test]
async fn the_audit_log_takes_entries() {
    let db = Scratch::new().await;
    let entry = audit::Entry {
        actor: None,
        action: "user.create",
        target: "user:1",
        detail: serde_json::json!({}),
        request_id: None,
    };
    audit::append(&mut db.pool.acquire().await.unwrap(), &entry, Some(t0())).await.unwrap();
    assert_eq!(db.count("select count(*) from audit_log where target = 'user:1'").await, 1);
    db.done().await;
}

#[tokio::test]
async fn a_connection_that_the_server_closed_costs_one_call_and_is_replaced() {
    let db = Scratch::new().await;
    let pool = halyard_store::connect(&db.url, 1).unwrap();
    let pid: i32 =
        sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *pool.acquire().await.unwrap()).await.unwrap();
    let ended: bool = sqlx::query_scalar("select pg_terminate_backend($1, 5000)")
        .bind(pid)
        .fetch_one(&mut *db.pool.acquire().await.unwrap())
        .await
        .unwrap();
    assert!(ended);
    let refused = users::by_login(&mut pool.acquire().await.unwrap(), "ada").await;
    assert!(refused.as_ref().is_err_and(StoreError::is_unavailable), "{refused:?}");
    for _ in 0..3 {
        assert!(users::by_login(&mut pool.acquire().await.unwrap(), "ada").await.unwrap().is_none());
    }
    pool.close().await;
    assert!(pool.acquire().await.is_err_and(|e| e.is_unavailable()));
    db.done().await;
}

#[tokio::test]
async fn a_pool_that_is_used_up_and_a_server_that_is_not_there_are_unavailable() {
    let db = Scratch::new().await;
    let pool = halyard_store::connect(&db.url, 1).unwrap();
    let held = pool.acquire().await.unwrap();
    assert!(pool.acquire().await.is_err_and(|e| e.is_unavailable()));
    drop(held);
    assert!(pool.acquire().await.is_ok());
    let nowhere = halyard_store::connect("postgres://nobody@127.0.0.1:1/none", 1).unwrap();
    assert!(nowhere.acquire().await.is_err_and(|e| e.is_unavailable()));
    assert!(halyard_store::connect("mysql://x", 1).is_err());
    let late = halyard_store::within(std::time::Duration::ZERO, std::future::pending::<Result<(), StoreError>>()).await;
    assert!(late.is_err_and(|e| e.is_unavailable()));
    pool.close().await;
    db.done().await;
}

/// A caller that gives up in the middle of a statement leaves nothing behind that the next one could take for its own.
#[tokio::test]
async fn a_statement_that_was_given_up_does_not_answer_the_next_caller() {
    let db = Scratch::new().await;
    let pool = halyard_store::connect(&db.url, 1).unwrap();
    for patience in [0_i32, 1, 20, 60] {
        let mut conn = pool.acquire().await.unwrap();
        let slow = sqlx::query_scalar::<_, i32>("select 1 from pg_sleep(0.05), generate_series(1, 3)");
        let given_up = tokio::time::timeout(
            std::time::Duration::from_millis(patience.unsigned_abs().into()),
            slow.fetch_all(&mut *conn),
        )
        .await;
        drop(conn);
        for expected in [patience + 2, patience + 3] {
            let mut conn = pool.acquire().await.unwrap();
            let answer: i32 = sqlx::query_scalar("select $1::int").bind(expected).fetch_one(&mut *conn).await.unwrap();
            assert_eq!(answer, expected, "after {patience} ms: {given_up:?}");
        }
    }
    // The same with a transaction: it is rolled back.
    {
        let mut conn = pool.acquire().await.unwrap();
        let mut open = sqlx::Connection::begin(&mut *conn).await.unwrap();
        users::insert(&mut open, &ada(), a_mail(), None).await.unwrap();
    }
    assert!(users::by_login(&mut pool.acquire().await.unwrap(), "ada").await.unwrap().is_none());
    pool.close().await;
    db.done().await;
}
