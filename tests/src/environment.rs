//! Where the servers are that the tests run against.

/// The servers of a test run, as `scripts/test` starts them.
#[derive(Debug, Clone)]
pub struct Servers {
    /// A database on a server where databases may be created: the way in, not the database of any test.
    pub database_url: String,
    /// A Redis that tests share, each under its own namespace.
    pub redis_url: String,
}

impl Servers {
    /// Reads `TEST_DATABASE_URL` and `TEST_REDIS_URL`.
    ///
    /// # Panics
    /// With one sentence, when they are not there.
    pub fn from_env() -> Self {
        let (Some(database_url), Some(redis_url)) = (variable("TEST_DATABASE_URL"), variable("TEST_REDIS_URL")) else {
            panic!("these tests need a PostgreSQL and a Redis server: run them with `make test`, which starts both");
        };
        Self { database_url, redis_url }
    }
}

/// A variable of the test run; empty counts as absent.
pub fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "what the test run is told, not configuration of the system")]
    std::env::var(name).ok().filter(|v| !v.is_empty())
}
