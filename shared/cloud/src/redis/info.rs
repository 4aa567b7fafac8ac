//! What health reports of Redis.

use super::{Redis, RedisError};

/// A few figures out of `INFO`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RedisInfo {
    /// The server's version.
    pub version: String,
    /// Bytes that the server has allocated.
    pub used_memory: u64,
    /// The limit in bytes; 0 is none.
    pub max_memory: u64,
    /// Connections of clients.
    pub connected_clients: u64,
    /// Seconds since the server started.
    pub uptime_seconds: u64,
    /// Hits of key lookups since then, of hits and misses together, 0.0 to 1.0; `None` before the first lookup.
    pub hit_rate: Option<f64>,
}

impl Redis {
    /// The server's figures, in one round trip.
    pub async fn info(&self) -> Result<RedisInfo, RedisError> {
        let text: String = self.run(&redis::cmd("INFO")).await?;
        Ok(RedisInfo::parse(&text))
    }
}

impl RedisInfo {
    /// Reads the text of `INFO`; a figure that is not there is 0 or empty.
    pub fn parse(text: &str) -> Self {
        let find = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim).unwrap_or_default()
        };
        let number = |name: &str| find(name).parse::<u64>().unwrap_or_default();
        let (hits, misses) = (number("keyspace_hits"), number("keyspace_misses"));
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no 53 bits")]
        let hit_rate = (hits + misses > 0).then(|| hits as f64 / (hits + misses) as f64);
        Self {
            version: find("redis_version").to_owned(),
            used_memory: number("used_memory"),
            max_memory: number("maxmemory"),
            connected_clients: number("connected_clients"),
            uptime_seconds: number("uptime_in_seconds"),
            hit_rate,
        }
    }
}
