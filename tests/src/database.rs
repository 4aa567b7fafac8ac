//! One database for each test, copied from a template that has been migrated once.

use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// The advisory lock under which one of the test processes makes the template.
const LOCK: i64 = 0x4861_6c79_6172_6400;

/// A database that is dropped by [`TestDatabase::drop_now`].
#[derive(Debug, Clone)]
pub struct TestDatabase {
    server_url: String,
    name: String,
}

impl TestDatabase {
    /// A fresh copy of the template.
    pub async fn create(server_url: &str, epoch: DateTime<Utc>) -> Self {
        let mut server = connect(server_url).await;
        let template = template(server_url, &mut server, epoch).await;
        let this = Self { server_url: server_url.to_owned(), name: unique("halyard_test") };
        // A process of an earlier run may have had the same number and died before it could clean up.
        run(&mut server, &format!("drop database if exists {} with (force)", this.name)).await;
        run(&mut server, &format!("create database {} template {template}", this.name)).await;
        this
    }

    /// A database with nothing in it.
    pub async fn create_empty(server_url: &str) -> Self {
        let mut server = connect(server_url).await;
        let this = Self { server_url: server_url.to_owned(), name: unique("halyard_test") };
        run(&mut server, &format!("drop database if exists {} with (force)", this.name)).await;
        run(&mut server, &format!("create database {}", this.name)).await;
        this
    }

    /// Where it is.
    pub fn url(&self) -> String {
        with_database(&self.server_url, &self.name)
    }

    /// A connection to it.
    pub async fn connect(&self) -> PgConnection {
        connect(&self.url()).await
    }

    /// Likewise; the server may be gone.
    pub async fn try_connect(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect(&self.url()).await
    }

    /// Drops it, whoever is connected.
    pub async fn drop_now(&self) {
        let mut server = connect(&self.server_url).await;
        run(&mut server, &format!("drop database if exists {} with (force)", self.name)).await;
    }
}

/// The name of the migrated template; made when it is not there yet. Its name carries the migrations' checksums, so
/// that a changed migration makes a new one.
async fn template(server_url: &str, server: &mut PgConnection, epoch: DateTime<Utc>) -> String {
    let name = format!("halyard_template_{:016x}", fingerprint(epoch));
    sqlx::query("select pg_advisory_lock($1)").bind(LOCK).execute(&mut *server).await.expect("the lock");
    let there: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(&name)
        .fetch_one(&mut *server)
        .await
        .expect("the list of databases");
    if !there {
        let building = unique("halyard_building");
        run(server, &format!("drop database if exists {building} with (force)")).await;
        run(server, &format!("create database {building}")).await;
        crate::seed::migrate(&with_database(server_url, &building), epoch).await;
        run(server, &format!("alter database {building} rename to {name}")).await;
    }
    sqlx::query("select pg_advisory_unlock($1)").bind(LOCK).execute(&mut *server).await.expect("the lock");
    name
}

fn fingerprint(epoch: DateTime<Utc>) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    for migration in halyard_store::migrator().iter() {
        migration.checksum.hash(&mut hasher);
    }
    epoch.timestamp_micros().hash(&mut hasher);
    crate::seed::VERSION.hash(&mut hasher);
    hasher.finish()
}

/// A name that no other test of this run has: the process and a number.
fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The same server, another database: what stands between the authority and the query.
fn with_database(server_url: &str, name: &str) -> String {
    let (base, query) = server_url.split_once('?').map_or((server_url, None), |(b, q)| (b, Some(q)));
    let authority_end = base.find("://").map_or(0, |at| at + 3);
    let path = base[authority_end..].find('/').map_or(base.len(), |at| authority_end + at);
    let query = query.map(|q| format!("?{q}")).unwrap_or_default();
    format!("{}/{name}{query}", &base[..path])
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap_or_else(|e| panic!("cannot connect to {url}: {e}"))
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
}
