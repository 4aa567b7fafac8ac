//! One server and the connection to it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisResult, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};

use crate::round_trips::{self, Counter};

/// How long one answer may take. Redis answers in well under a millisecond or is in trouble.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(250);
/// How long opening a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// After a call that timed out twice, calls fail at once for this long, so that a Redis that hangs does not add its
/// time limit to every request.
const BACK_OFF: Duration = Duration::from_secs(1);

/// One server.
pub(super) struct Node {
    client: Client,
    /// Held while connecting, so that side-by-side calls open one connection and not one each.
    connection: tokio::sync::Mutex<Slot>,
    hanging_until: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Slot {
    generation: u64,
    open: Option<MultiplexedConnection>,
}

impl Node {
    pub fn new(client: Client) -> Self {
        Self { client, connection: tokio::sync::Mutex::default(), hanging_until: Mutex::default() }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request, and once more over a new connection when the present one turns out to be dead.
    pub async fn attempt_twice(&self, request: Request<'_>, trips: &Counter) -> RedisResult<Value> {
        if self.hanging_until().is_some_and(|until| Instant::now() < until) {
            return Err((ErrorKind::Io, "it hung a moment ago").into());
        }
        let (generation, fresh, connection) = self.connection().await?;
        let error = match send(request, connection, trips).await {
            Ok(value) => return Ok(value),
            Err(error) if wants_new_connection(&error) => error,
            Err(error) => return Err(error),
        };
        self.discard(generation).await;
        if fresh {
            return Err(self.note_hanging(error));
        }
        let (generation, _, connection) = self.connection().await?;
        match send(request, connection, trips).await {
            Err(error) if wants_new_connection(&error) => {
                self.discard(generation).await;
                Err(self.note_hanging(error))
            }
            other => other,
        }
    }

    /// The connection, its generation, and whether it was opened just now.
    pub async fn connection(&self) -> RedisResult<(u64, bool, MultiplexedConnection)> {
        let mut slot = self.connection.lock().await;
        if let Some(open) = &slot.open {
            return Ok((slot.generation, false, open.clone()));
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connected = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let open = connected.map_err(|error| self.note_hanging(error))?;
        slot.generation += 1;
        slot.open = Some(open.clone());
        Ok((slot.generation, true, open))
    }

    async fn discard(&self, generation: u64) {
        let mut slot = self.connection.lock().await;
        if slot.generation == generation {
            slot.open = None;
        }
    }

    fn hanging_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.hanging_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_hanging(&self, error: redis::RedisError) -> redis::RedisError {
        if error.is_timeout() {
            *self.hanging_until() = Some(Instant::now() + BACK_OFF);
        }
        error
    }
}

async fn send(request: Request<'_>, connection: MultiplexedConnection, trips: &Counter) -> RedisResult<Value> {
    round_trips::REDIS.add(1);
    trips.add(1);
    request.send(connection).await
}

/// What is sent in one round trip.
#[derive(Clone, Copy)]
pub(super) enum Request<'a> {
    One(&'a Cmd),
    /// Not atomic.
    Many(&'a Pipeline),
    /// With leave to ask for a slot that is on its way to another server.
    Asking(&'a Self),
}

impl Request<'_> {
    async fn send(self, mut connection: MultiplexedConnection) -> RedisResult<Value> {
        match self {
            Self::One(command) => connection.send_packed_command(command).await?.extract_error(),
            Self::Many(pipeline) => {
                let answers = connection.send_packed_commands(pipeline, 0, pipeline.len()).await?;
                Value::Array(answers).extract_error()
            }
            Self::Asking(request) => {
                // The leave is for one command.
                let mut pipeline = redis::pipe();
                let commands = request.commands();
                for command in &commands {
                    pipeline.cmd("ASKING").add_command((*command).clone());
                }
                let answers = connection.send_packed_commands(&pipeline, 0, pipeline.len()).await?;
                let mut answers: Vec<Value> = answers.into_iter().skip(1).step_by(2).collect();
                match request {
                    Self::Many(_) => Value::Array(answers).extract_error(),
                    _ => answers.pop().unwrap_or(Value::Nil).extract_error(),
                }
            }
        }
    }

    /// The commands, in order.
    pub fn commands(&self) -> Vec<&Cmd> {
        match self {
            Self::One(command) => vec![command],
            Self::Many(pipeline) => pipeline.cmd_iter().collect(),
            Self::Asking(request) => request.commands(),
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
