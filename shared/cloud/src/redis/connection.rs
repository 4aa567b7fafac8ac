//! The connection of an environment.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, Pipeline, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};

use super::RedisError;
use crate::round_trips::{self, Counter};

/// How long one answer may take. Redis answers in well under a millisecond or is in trouble.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_millis(250);
/// How long opening a connection may take, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// After a call that timed out twice, calls fail at once for this long, so that a Redis that hangs does not add its
/// time limit to every request.
pub const BACK_OFF: Duration = Duration::from_secs(1);

/// A handle on Redis. Clones share the connection.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    client: Client,
    namespace: String,
    /// Held while connecting, so that side-by-side calls open one connection and not one each.
    connection: tokio::sync::Mutex<Slot>,
    hanging_until: Mutex<Option<Instant>>,
    round_trips: Counter,
}

#[derive(Default)]
struct Slot {
    generation: u64,
    open: Option<MultiplexedConnection>,
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
    /// `unix:///path`. `namespace` is the prefix of every key.
    ///
    /// # Errors
    /// [`RedisError::Url`].
    pub fn new(url: &str, namespace: &str) -> Result<Self, RedisError> {
        // The error of the client may quote the URL, and the URL may hold a password.
        let client = Client::open(url).map_err(|e| RedisError::Url(format!("{:?}", e.kind())))?;
        Ok(Self(Arc::new(Inner {
            client,
            namespace: namespace.to_owned(),
            connection: tokio::sync::Mutex::default(),
            hanging_until: Mutex::default(),
            round_trips: Counter::default(),
        })))
    }

    /// The prefix of every key.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Requests of this handle and its clones so far; [`round_trips::REDIS`] counts those of the process.
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
        if let Err(error) = self.connection().await {
            tracing::warn!(%error, "Redis does not answer yet");
        }
    }

    /// Runs one command: one round trip, two when the connection turns out to be dead.
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        let value = self.run_raw(command).await?;
        redis::from_redis_value::<T>(value).map_err(|e| RedisError::Unexpected(e.to_string()))
    }

    /// Runs several commands in one round trip, not atomically.
    pub async fn run_all<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, RedisError> {
        let value = self.attempt_twice(Request::Many(pipeline)).await?;
        redis::from_redis_value::<T>(value).map_err(|e| RedisError::Unexpected(e.to_string()))
    }

    pub(super) async fn run_raw(&self, command: &Cmd) -> Result<Value, redis::RedisError> {
        self.attempt_twice(Request::One(command)).await
    }

    async fn attempt_twice(&self, request: Request<'_>) -> Result<Value, redis::RedisError> {
        if self.hanging_until().is_some_and(|until| Instant::now() < until) {
            return Err((ErrorKind::Io, "it hung a moment ago").into());
        }
        let (generation, fresh, connection) = self.connection().await?;
        let error = match self.send(request, connection).await {
            Ok(value) => return Ok(value),
            Err(error) if wants_new_connection(&error) => error,
            Err(error) => return Err(error),
        };
        self.discard(generation).await;
        if fresh {
            return Err(self.note_hanging(error));
        }
        let (generation, _, connection) = self.connection().await?;
        match self.send(request, connection).await {
            Err(error) if wants_new_connection(&error) => {
                self.discard(generation).await;
                Err(self.note_hanging(error))
            }
            other => other,
        }
    }

    async fn send(&self, request: Request<'_>, connection: MultiplexedConnection) -> Result<Value, redis::RedisError> {
        round_trips::REDIS.add(1);
        self.0.round_trips.add(1);
        request.send(connection).await
    }

    /// The connection, its generation, and whether it was opened just now.
    async fn connection(&self) -> Result<(u64, bool, MultiplexedConnection), redis::RedisError> {
        let mut slot = self.0.connection.lock().await;
        if let Some(open) = &slot.open {
            return Ok((slot.generation, false, open.clone()));
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connected = self.0.client.get_multiplexed_async_connection_with_config(&config).await;
        let open = connected.map_err(|error| self.note_hanging(error))?;
        slot.generation += 1;
        slot.open = Some(open.clone());
        Ok((slot.generation, true, open))
    }

    async fn discard(&self, generation: u64) {
        let mut slot = self.0.connection.lock().await;
        if slot.generation == generation {
            slot.open = None;
        }
    }

    fn hanging_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.hanging_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_hanging(&self, error: redis::RedisError) -> redis::RedisError {
        if error.is_timeout() {
            *self.hanging_until() = Some(Instant::now() + BACK_OFF);
        }
        error
    }
}

#[derive(Clone, Copy)]
enum Request<'a> {
    One(&'a Cmd),
    Many(&'a Pipeline),
}

impl Request<'_> {
    async fn send(self, mut connection: MultiplexedConnection) -> Result<Value, redis::RedisError> {
        match self {
            Self::One(command) => connection.send_packed_command(command).await?.extract_error(),
            Self::Many(pipeline) => {
                let answers = connection.send_packed_commands(pipeline, 0, pipeline.len()).await?;
                Value::Array(answers).extract_error()
            }
        }
    }
}

/// Does a new connection help? A time-out counts: after a thaw, a connection that a middlebox has forgotten swallows
/// what is written to it.
fn wants_new_connection(error: &redis::RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly))
}
