//! Several nodes as processes of their own (`halyard node`) over one database, one Redis namespace and one stack at an
//! emulator of AWS, all of them this cluster's alone.

mod node;

use std::{path::Path, process::Command, sync::Arc};

use crate::{Actor, Scratch, TestDatabase, environment::Servers, halyard_program, routes, transport::Remote};

pub use node::{Node, Role};

/// What the nodes share, prepared by `halyard prepare`. They are stopped when they are dropped, each by itself.
#[derive(Debug)]
pub struct Cluster {
    scratch: Scratch,
    /// The database, unless the test brought its own.
    database: Option<TestDatabase>,
    variables: Vec<(String, String)>,
}

/// A cluster before it is prepared.
#[derive(Debug, Default)]
pub struct ClusterBuilder {
    database_url: Option<String>,
    lease_seconds: Option<u32>,
    variables: Vec<(String, String)>,
}

impl Cluster {
    /// Over the servers of the test run, without rate limits.
    pub async fn prepare() -> Self {
        Self::builder().prepare().await
    }

    /// To be told what is special about it.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// Starts a node under this name and waits until it answers.
    pub fn start(&self, role: Role, name: &str) -> Node {
        let mut node = self.spawn(role, name);
        node.until_ready();
        node
    }

    /// Starts a node and does not wait.
    pub fn spawn(&self, role: Role, name: &str) -> Node {
        self.spawn_with(role, name, &[], &[])
    }

    /// Likewise, with more arguments, and variables over those of the cluster.
    pub fn spawn_with(&self, role: Role, name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Node {
        let mut all = self.variables.clone();
        all.push(("NODE_ID".to_owned(), name.to_owned()));
        all.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Node::spawn(self.scratch.path(), role, name, arguments, all)
    }

    /// `halyard` with these arguments in the cluster's environment, to be run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        command(arguments, &self.variables)
    }

    /// A variable of every node.
    pub fn variable(&self, name: &str) -> &str {
        let found = self.variables.iter().rev().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Where the nodes' logs and keys are.
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// A connection to the cluster's database.
    pub async fn connect(&self) -> sqlx::PgConnection {
        use sqlx::Connection as _;
        let url = self.variable("DATABASE_URL");
        sqlx::PgConnection::connect(url).await.unwrap_or_else(|e| panic!("cannot connect to {url}: {e}"))
    }

    /// A number that a query gives.
    pub async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&mut self.connect().await).await.unwrap_or_else(|e| panic!("{query}: {e}"))
    }

    /// The administrator, signed in at a node.
    pub async fn admin(&self, at: &Node) -> Actor {
        Actor::login(Arc::new(Remote::new(&at.base_url())), "admin", "admin123").await
    }

    /// The same caller at another node.
    pub fn at(&self, node: &Node, actor: &Actor) -> Actor {
        let mut other = Actor::anonymous(Arc::new(Remote::new(&node.base_url())));
        other.username.clone_from(&actor.username);
        other.access_token.clone_from(&actor.access_token);
        other
    }
}

impl ClusterBuilder {
    /// Over this database, which the test brings and removes.
    pub fn database_url(mut self, url: &str) -> Self {
        self.database_url = Some(url.to_owned());
        self
    }

    /// Workers hold their tasks no longer than this without a word; otherwise as the template says.
    pub fn lease_seconds(mut self, seconds: u32) -> Self {
        self.lease_seconds = Some(seconds);
        self
    }

    /// Every node is told this.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Keys, queues, tables, the schema, the administrator.
    pub async fn prepare(self) -> Cluster {
        let cluster = self.unprepared().await;
        let output = cluster.command(&["prepare"]).output().expect("halyard runs");
        assert!(output.status.success(), "halyard prepare: {}", String::from_utf8_lossy(&output.stderr));
        cluster
    }

    /// Keys, a database and a name, and nothing in them yet.
    pub async fn unprepared(self) -> Cluster {
        let scratch = Scratch::new("cluster");
        let directory = scratch.path().join("keys").display().to_string();
        let made = command(&["keys", "--directory", &directory], &[]).output().expect("halyard runs");
        assert!(made.status.success(), "halyard keys: {}", String::from_utf8_lossy(&made.stderr));
        let servers = Servers::from_env();
        let database = match &self.database_url {
            Some(_) => None,
            None => Some(TestDatabase::create_empty(&servers.database_url).await),
        };
        let database_url = self.database_url.or_else(|| database.as_ref().map(TestDatabase::url)).unwrap_or_default();
        let name = scratch.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut variables: Vec<(String, String)> = [
            ("DATABASE_URL", database_url.as_str()),
            ("REDIS_URL", &servers.redis_url),
            ("HALYARD_ENV", "local"),
            ("AWS_ENDPOINT_URL", servers.aws()),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("TOKEN_SIGNING_KEY_FILE", &format!("{directory}/token_signing_key")),
            ("TOKEN_KEY_SET_FILE", &format!("{directory}/token_key_set")),
            ("ACCOUNT_KEY_FILE", &format!("{directory}/account_key")),
            ("STACK_NAME", &name),
            ("RATE_LIMITS", "off"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        if let Some(seconds) = self.lease_seconds {
            let template = scratch.path().join("template.yaml");
            std::fs::write(&template, with_lease(seconds)).expect("a file of the test's own");
            variables.push(("HALYARD_TEMPLATE".to_owned(), template.display().to_string()));
        }
        variables.extend(self.variables);
        Cluster { scratch, database, variables }
    }
}

/// The template with another length of leases.
fn with_lease(seconds: u32) -> String {
    let template = std::fs::read_to_string(routes::repository("infra/template.yaml")).expect("the template");
    let changed = template.replace("LEASE_SECONDS: \"15\"", &format!("LEASE_SECONDS: \"{seconds}\""));
    assert_ne!(changed, template, "the template says otherwise how long a lease is");
    changed
}

/// `halyard` in an environment of these variables and no others.
fn command(arguments: &[&str], variables: &[(String, String)]) -> Command {
    let mut command = Command::new(halyard_program());
    command.args(arguments).current_dir(routes::repository(".")).env_clear();
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command
}

impl Drop for Cluster {
    /// In a thread with a runtime of its own: the test's runtime cannot be waited on from here.
    fn drop(&mut self) {
        let Some(database) = self.database.clone() else { return };
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                if database.try_connect().await.is_ok() {
                    database.drop_now().await;
                }
            });
        });
        let _ = dropped.join();
    }
}
