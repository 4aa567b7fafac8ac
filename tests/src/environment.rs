//! Where the servers are that the tests run against.

/// The servers of a test run.
#[derive(Debug, Clone)]
pub struct Servers {
    /// A database on a server where databases may be created: the way in, not the database of any test.
    pub database_url: String,
    /// A Redis that tests share, each under its own namespace.
    pub redis_url: String,
    /// An emulator of SQS and `DynamoDB`; only some tests need one.
    pub aws_endpoint: Option<String>,
}

impl Servers {
    /// The one place that chooses. `TEST_BACKEND=containers`: containers, which the first test to ask starts for all.
    /// Otherwise private servers, as `scripts/test` starts them: `TEST_DATABASE_URL`, `TEST_REDIS_URL`,
    /// `TEST_AWS_ENDPOINT`.
    ///
    /// # Panics
    /// With one sentence, when they are not there.
    pub fn from_env() -> Self {
        match variable("TEST_BACKEND").as_deref() {
            None | Some("private") => Self::private(),
            Some("containers") => containers(),
            Some(other) => panic!("TEST_BACKEND={other}: `private` or `containers`"),
        }
    }

    fn private() -> Self {
        let (Some(database_url), Some(redis_url)) = (variable("TEST_DATABASE_URL"), variable("TEST_REDIS_URL")) else {
            panic!("these tests need a PostgreSQL and a Redis server: run them with `make test`, which starts both");
        };
        Self { database_url, redis_url, aws_endpoint: variable("TEST_AWS_ENDPOINT") }
    }

    /// The emulator's endpoint.
    ///
    /// # Panics
    /// With one sentence, when there is none.
    pub fn aws(&self) -> &str {
        let endpoint = self.aws_endpoint.as_deref();
        endpoint
            .expect("these tests need an emulator in TEST_AWS_ENDPOINT: run them with `make test`, which starts one")
    }
}

#[cfg(feature = "containers")]
fn containers() -> Servers {
    crate::containers::servers()
}

#[cfg(not(feature = "containers"))]
fn containers() -> Servers {
    panic!("TEST_BACKEND=containers needs `--features containers`: run these tests with `make test-containers`");
}

/// A variable of the test run; empty counts as absent.
pub fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "what the test run is told, not configuration of the system")]
    std::env::var(name).ok().filter(|v| !v.is_empty())
}
