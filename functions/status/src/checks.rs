//! What `/health/status` finds out, each part on its own and with a time limit of its own.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use halyard_cloud::redis::RedisInfo;
use halyard_store::{
    lanes::{self, LaneDepth},
    nodes, ping,
    statistics::{self, StatsOverview},
    within,
};

use crate::AppState;

/// How long a part may take to answer.
const LIMIT: Duration = Duration::from_secs(1);
/// Tasks that have been due for longer than this while nobody works mean that nobody will.
const STUCK: TimeDelta = TimeDelta::seconds(60);

/// What the database said.
pub struct Database {
    /// Milliseconds of a round trip.
    pub response_time: f64,
    pub workers: i64,
    pub depths: Vec<LaneDepth>,
    pub overview: StatsOverview,
}

/// What Redis said.
pub struct RedisFacts {
    /// Milliseconds of a round trip.
    pub response_time: f64,
    pub info: RedisInfo,
}

/// What was found out; `None` is down.
pub struct Findings {
    pub database: Option<Database>,
    pub redis: Option<RedisFacts>,
    /// Milliseconds of a round trip.
    pub queue: Option<f64>,
}

/// Asks all parts at once.
pub async fn examine(state: &AppState) -> Findings {
    let (database, redis, queue) = tokio::join!(database(state), redis(state), queue(state));
    Findings { database, redis, queue }
}

async fn database(state: &AppState) -> Option<Database> {
    let now = state.clock.database_override();
    let asked = within(LIMIT, async {
        let mut conn = state.pool.acquire().await?;
        let start = Instant::now();
        ping(&mut conn).await?;
        let response_time = millis(start.elapsed());
        let nodes = nodes::list(&mut conn, now).await?;
        let workers = nodes.iter().filter(|n| n.active && n.role == "worker").count();
        Ok::<_, halyard_store::StoreError>(Database {
            response_time,
            workers: i64::try_from(workers).unwrap_or(i64::MAX),
            depths: lanes::depths(&mut conn, now).await?,
            overview: statistics::overview(&mut conn, None, now).await?,
        })
    });
    asked.await.inspect_err(|error| tracing::warn!(%error, "the database is down")).ok()
}

async fn redis(state: &AppState) -> Option<RedisFacts> {
    let asked = async {
        let response_time = millis(state.redis.ping().await?);
        Ok::<_, halyard_cloud::redis::RedisError>(RedisFacts { response_time, info: state.redis.info().await? })
    };
    match tokio::time::timeout(LIMIT, asked).await {
        Ok(Ok(facts)) => Some(facts),
        Ok(Err(error)) => {
            tracing::warn!(%error, "Redis is down");
            None
        }
        Err(_) => None,
    }
}

async fn queue(state: &AppState) -> Option<f64> {
    let start = Instant::now();
    match tokio::time::timeout(LIMIT, state.queue.depth(&state.probe)).await {
        Ok(Ok(_)) => Some(millis(start.elapsed())),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the queue service is down");
            None
        }
        Err(_) => None,
    }
}

impl Findings {
    /// The background: can accepted tasks get done? `None` when nobody can say.
    pub fn background(&self, state: &AppState) -> Option<Background> {
        let database = self.database.as_ref()?;
        let now = state.clock.now();
        let stuck = database.depths.iter().any(|lane| {
            !lane.paused && lane.running == 0 && lane.oldest_ready_at.is_some_and(|since| now - since > STUCK)
        });
        Some(match (self.queue, stuck) {
            (None, _) => Background::Down,
            (Some(_), true) => Background::Stuck,
            (Some(_), false) => Background::Up,
        })
    }
}

/// The state of the workers and their queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    Up,
    /// Tasks have been due for a minute and nobody works on their lane.
    Stuck,
    /// No doorbell can be rung.
    Down,
}

/// Milliseconds, to the microsecond.
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
