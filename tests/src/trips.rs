//! Round trips to each store, counted.

use halyard_cloud::round_trips;

/// How many round trips something took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trips {
    /// Requests to Redis; a pipeline or script is one.
    pub redis: u64,
    /// Answers of PostgreSQL.
    pub database: u64,
    /// Calls of the queue service.
    pub queue: u64,
    /// Calls of the table service.
    pub table: u64,
}

impl Trips {
    /// What this process has counted so far; `database` comes from the proxy in front of it.
    pub fn so_far(database: u64) -> Self {
        Self {
            redis: round_trips::REDIS.get(),
            database,
            queue: round_trips::QUEUE.get(),
            table: round_trips::TABLE.get(),
        }
    }

    /// What has come on top since.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            redis: self.redis - before.redis,
            database: self.database - before.database,
            queue: self.queue - before.queue,
            table: self.table - before.table,
        }
    }
}
