//! The connection of an environment.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{Client, Cmd, FromRedisValue, Pipeline, Value};

use super::{RedisError, cluster::Cluster, node::Request};
use crate::round_trips::Counter;

/// A handle on Redis: one server, or a cluster, which shows in its answers. Clones share the connections.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    servers: Cluster,
    namespace: String,
    round_trips: Counter,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("namespace", &self.0.namespace).finish_non_exhaustive()
    }
}

impl Redis {
    /// Makes a handle; connects to nothing yet.
    ///
    /// `url`: `redis://[:password@]host[:port][/db]`, `rediss://` for TLS, `redis+unix:///path[?db=n]` or
    /// `unix:///path`; of a cluster, any server's or its configuration endpoint. `namespace` is the prefix of every key.
    ///
    /// # Errors
    /// [`RedisError::Url`].
    pub fn new(url: &str, namespace: &str) -> Result<Self, RedisError> {
        // The error of the client may quote the URL, and the URL may hold a password.
        let client = Client::open(url).map_err(|e| RedisError::Url(format!("{:?}", e.kind())))?;
        let servers = Cluster::new(client);
        Ok(Self(Arc::new(Inner { servers, namespace: namespace.to_owned(), round_trips: Counter::default() })))
    }

    /// The prefix of every key.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Requests of this handle and its clones so far; [`crate::round_trips::REDIS`] counts those of the process.
    pub fn round_trips(&self) -> u64 {
        self.0.round_trips.get()
    }

    /// Asks for a sign of life and measures it.
    pub async fn ping(&self) -> Result<Duration, RedisError> {
        let start = Instant::now();
        self.run::<String>(&redis::cmd("PING")).await?;
        Ok(start.elapsed())
    }

    /// Opens the connection now, so that the first request does not pay for it. Failure is no matter: the next call
    /// tries again.
    pub async fn warm_up(&self) {
        if let Err(error) = self.0.servers.connect().await {
            tracing::warn!(%error, "Redis does not answer yet");
        }
    }

    /// Runs one command: one round trip, two when the connection turns out to be dead.
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        let value = self.run_raw(command).await?;
        redis::from_redis_value::<T>(value).map_err(|e| RedisError::Unexpected(e.to_string()))
    }

    /// Runs several commands in one round trip, not atomically. In a cluster the first one's key says where.
    pub async fn run_all<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, RedisError> {
        let value = self.0.servers.send(Request::Many(pipeline), &self.0.round_trips).await?;
        redis::from_redis_value::<T>(value).map_err(|e| RedisError::Unexpected(e.to_string()))
    }

    pub(super) async fn run_raw(&self, command: &Cmd) -> Result<Value, redis::RedisError> {
        self.0.servers.send(Request::One(command), &self.0.round_trips).await
    }
}
