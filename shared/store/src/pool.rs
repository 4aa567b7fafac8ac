//! The connections of one execution environment.
//!
//! `sqlx::PgPool` returns a connection in a task that it spawns, with a ping to the server. That is work that outlives
//! the response (a frozen environment would leave it half done) and a round trip for each request, so an environment
//! keeps its one or two connections in this instead.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{Result, StoreError, error::faults};

/// The longest wait for a connection, opening one included.
const ACQUIRE: Duration = Duration::from_secs(2);
/// A connection idle for longer is tested before use: the other side may have gone while the environment was frozen.
const TEST_AFTER_IDLE: Duration = Duration::from_secs(5);
/// The longest wait for the answer to that test.
const TEST: Duration = Duration::from_millis(500);

/// Settings of each session. What these tables hold changes entirely within a second, so the planner's statistics are
/// always out of date: plans are made once, without looking at values, and by index wherever there is one.
/// A limit given as a parameter looks to the planner like a tenth of the table, for which it would rather collect and
/// sort than follow an index that has the order: hence no bitmaps, no merge joins, no helpers.
const SETTINGS: [(&str, &str); 8] = [
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_mergejoin", "off"),
    ("max_parallel_workers_per_gather", "0"),
    ("statement_timeout", "15s"),
    ("idle_in_transaction_session_timeout", "30s"),
];

/// At most so many connections, opened when first needed and kept.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    /// What to say on a new connection that could not be told at its start.
    greeting: Option<String>,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    live: PgConnection,
    since: Instant,
    verified: u64,
}

/// A pool of `size` connections (at least 1) to the database at `url`. Nothing is connected yet.
///
/// # Errors
/// [`StoreError::Internal`] when `url` is not a PostgreSQL URL.
pub fn connect(url: &str, size: u32) -> Result<Pool> {
    // The parser takes any scheme.
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(StoreError::Internal("not a postgres:// URL".into()));
    }
    let options = crate::options::parse(url)?.application_name("halyard");
    let (options, greeting) =
        if is_rds_proxy(url) { (options, Some(greeting())) } else { (options.options(SETTINGS), None) };
    let permits = Arc::new(Semaphore::new(size.max(1) as usize));
    Ok(Pool(Arc::new(Inner { options, greeting, permits, idle: Mutex::default() })))
}

/// Does the URL name an endpoint of RDS Proxy (`name.proxy-id.region.rds.amazonaws.com`)? It refuses connections that
/// bring settings along ("RDS Proxy currently doesn't support command-line options").
fn is_rds_proxy(url: &str) -> bool {
    url.contains(".proxy-") && url.contains(".rds.amazonaws.com")
}

/// [`SETTINGS`] as statements, sent together: one round trip more for each connection.
fn greeting() -> String {
    let statements: Vec<String> = SETTINGS.iter().map(|(name, value)| format!("set {name} = '{value}'")).collect();
    statements.join("; ")
}

impl Pool {
    /// A connection of the caller's own until it is dropped.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when none is free, or none can be opened, within two seconds.
    pub async fn acquire(&self) -> Result<Connection> {
        crate::within(ACQUIRE, async {
            let permit = Arc::clone(&self.0.permits)
                .acquire_owned()
                .await
                .map_err(|_| StoreError::unavailable("the pool is closed"))?;
            let verified = faults();
            let live = match self.0.take() {
                Some(idle) => self.0.checked(idle, verified).await?,
                None => self.0.open().await?,
            };
            Ok(Connection { live: Some(live), verified, pool: Arc::clone(&self.0), _permit: permit })
        })
        .await
    }

    /// Closes what is idle and refuses from now on.
    pub async fn close(&self) {
        self.0.permits.close();
        while let Some(idle) = self.0.take() {
            // The server notices a closed socket as well as a polite farewell.
            let _ = timeout(TEST, idle.live.close()).await;
        }
    }
}

impl Inner {
    fn take(&self) -> Option<Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn checked(&self, mut idle: Idle, faults: u64) -> Result<PgConnection> {
        if idle.verified == faults && idle.since.elapsed() < TEST_AFTER_IDLE {
            return Ok(idle.live);
        }
        if let Ok(Ok(())) = timeout(TEST, idle.live.ping()).await {
            return Ok(idle.live);
        }
        drop(idle);
        self.open().await
    }

    async fn open(&self) -> Result<PgConnection> {
        let mut live = self.options.connect().await?;
        if let Some(greeting) = &self.greeting {
            sqlx::raw_sql(AssertSqlSafe(greeting.as_str())).execute(&mut live).await?;
        }
        Ok(live)
    }
}

/// A pooled connection; goes back when dropped, unless a transaction on it was dropped half-way: then it is closed, which ends
/// the transaction and what it had locked, where an environment that is frozen now would say so much later.
pub struct Connection {
    live: Option<PgConnection>,
    verified: u64,
    pool: Arc<Inner>,
    _permit: OwnedSemaphorePermit,
}

/// Several statements that take effect together, or not at all if it is dropped.
pub type Transaction<'a> = sqlx::Transaction<'a, sqlx::Postgres>;

impl Connection {
    /// Begins a transaction.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn begin(&mut self) -> Result<Transaction<'_>> {
        Ok(sqlx::Connection::begin(&mut **self).await?)
    }
}

impl Deref for Connection {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        self.live.as_ref().expect("present until dropped")
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.live.as_mut().expect("present until dropped")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // What waits to be sent is the end of such a transaction.
        if let Some(live) = self.live.take().filter(|live| !live.should_flush()) {
            let idle = Idle { live, since: Instant::now(), verified: self.verified };
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
        }
    }
}

/// One round trip that touches nothing.
///
/// # Errors
/// [`StoreError::Unavailable`] when the server does not answer.
pub async fn ping(conn: &mut PgConnection) -> Result<()> {
    Ok(conn.ping().await?)
}
