//! The servers beside the gateway, kept alive while it runs.

use super::{
    console,
    error::LocalError,
    layout::Layout,
    postgres::{Postgres, Purpose},
    process::Life,
    redis::Redis,
    services,
};

/// PostgreSQL and Redis, running.
#[derive(Debug)]
pub struct Stack {
    layout: Layout,
    postgres: Postgres,
    redis: Redis,
}

/// `SIGINT`: a fast shutdown that loses nothing, should we be killed.
const POSTGRES_LIFE: Life = Life::WithUs("INT");
const REDIS_LIFE: Life = Life::WithUs("TERM");

impl Stack {
    /// Starts both side by side.
    ///
    /// # Errors
    /// When either does not start; the other one is stopped again.
    pub async fn start(layout: &Layout) -> Result<Self, LocalError> {
        let started =
            tokio::join!(Postgres::start(layout, POSTGRES_LIFE, Purpose::Keep), Redis::start(layout, REDIS_LIFE),);
        match started {
            (Ok(postgres), Ok(redis)) => Ok(Self { layout: layout.clone(), postgres, redis }),
            (Err(error), _) | (_, Err(error)) => {
                services::clean_up(layout).await;
                Err(error)
            }
        }
    }

    /// Starts again what has ended. Requests meanwhile are answered as the degraded modes say.
    pub async fn mend(&mut self) {
        if !self.postgres.alive() {
            console::say("PostgreSQL has ended; starting it again");
            match Postgres::start(&self.layout, POSTGRES_LIFE, Purpose::Keep).await {
                Ok(postgres) => self.postgres = postgres,
                Err(error) => console::fail(&error),
            }
        }
        if !self.redis.alive() {
            console::say("Redis has ended; starting it again");
            match Redis::start(&self.layout, REDIS_LIFE).await {
                Ok(redis) => self.redis = redis,
                Err(error) => console::fail(&error),
            }
        }
    }

    /// Stops both: the database last, so that whoever still writes can.
    pub async fn stop(mut self) {
        self.redis.stop().await;
        self.postgres.stop().await;
        services::clean_up(&self.layout).await;
    }
}
