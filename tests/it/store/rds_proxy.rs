//! RDS Proxy refuses a connection that brings settings along at its start.

use halyard_tests::{PrivatePostgres, Scratch};

/// What `setting` is, and who said so: `client` at the start of the connection, `session` by a statement.
async fn setting(url: &str, name: &str) -> (String, String) {
    let pool = halyard_store::connect(url, 1).expect("a good URL");
    let mut connection = pool.acquire().await.expect("a connection");
    let sql = "select setting, source from pg_settings where name = $1";
    sqlx::query_as(sql).bind(name).fetch_one(&mut *connection).await.expect("the setting")
}

#[tokio::test]
async fn behind_rds_proxy_the_settings_of_a_session_are_statements() {
    let postgres = PrivatePostgres::start().await;
    // The same server's socket under a name like that of an endpoint of the proxy.
    let scratch = Scratch::new("p");
    let directory = scratch.path().join("h.proxy-x.eu-central-1.rds.amazonaws.com");
    let url = postgres.url();
    let (before, rest) = url.split_once('@').unwrap();
    let (socket, database) = rest.split_once('/').unwrap();
    std::os::unix::fs::symlink(socket.replace("%2F", "/"), &directory).unwrap();
    let behind = format!("{before}@{}/{database}", directory.display().to_string().replace('/', "%2F"));
    for (name, value) in [("plan_cache_mode", "force_generic_plan"), ("statement_timeout", "15000")] {
        assert_eq!(setting(&url, name).await, (value.to_owned(), "client".to_owned()), "{name}, directly");
        assert_eq!(setting(&behind, name).await, (value.to_owned(), "session".to_owned()), "{name}, behind a proxy");
    }
}
