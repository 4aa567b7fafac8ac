//! The containers, as somebody at the machine sees them.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

use halyard_tests::{Actor, Target, environment::variable, routes::repository, wait};
use serde_json::{Value, json};

pub const API: [&str; 3] = ["api-1", "api-2", "api-3"];
pub const WORKERS: [&str; 2] = ["worker-1", "worker-2"];
pub const BEATS: [&str; 2] = ["beat-1", "beat-2"];
/// Everything that runs all the time.
pub const SERVICES: [&str; 11] =
    ["nginx", "api-1", "api-2", "api-3", "worker-1", "worker-2", "beat-1", "beat-2", "postgres", "redis", "ministack"];
/// A database makes its log good before it answers, on a machine where much else happens.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// The lease of a killed attempt is 15 s and beat comes once a minute; several may have to come one after another.
pub const REPAIR: Duration = Duration::from_secs(200);

/// The stack of this run.
#[derive(Debug, Clone)]
pub struct Stack {
    project: String,
    base_url: String,
}

impl Stack {
    /// The one that `scripts/test-docker` started; everything in it is well. What a test that failed has left killed is
    /// started again: each fault is tried by itself.
    pub async fn find() -> Self {
        let told = |name| variable(name).expect("these tests need containers: run them with `make test-docker`");
        let this = Self { project: told("HALYARD_PROJECT"), base_url: told("HALYARD_BASE_URL") };
        for service in SERVICES {
            docker(&["start", &this.container(service)]);
        }
        wait::until("every container to be healthy", PATIENCE, async || {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let listed = docker(&["ps", "--filter", &this.label(), "--format", "{{.Status}}"]);
            (listed.lines().filter(|status| status.contains("(healthy)")).count() == SERVICES.len()).then_some(())
        })
        .await;
        this
    }

    fn label(&self) -> String {
        format!("label=com.docker.compose.project={}", self.project)
    }

    /// The way in, through NGINX.
    pub fn target(&self) -> Target {
        Target::at(&self.base_url)
    }

    /// The files that `scripts/docker` made for this stack.
    pub fn file(&self, name: &str) -> PathBuf {
        repository(".local/docker").join(&self.project).join(name)
    }

    /// The container of a service.
    pub fn container(&self, service: &str) -> String {
        let by_service = format!("label=com.docker.compose.service={service}");
        let found = docker(&["ps", "-aq", "--filter", &self.label(), "--filter", &by_service]);
        found.lines().next().unwrap_or_else(|| panic!("{service} has no container")).to_owned()
    }

    /// What the engine knows about it.
    pub fn inspect(&self, service: &str) -> Value {
        let text = docker(&["inspect", &self.container(service)]);
        serde_json::from_str::<Value>(&text).expect("JSON")[0].take()
    }

    /// Kills a service's first process as the kernel does when memory is short: from outside, and the engine, which was
    /// not asked to, starts it again.
    pub async fn crash(&self, service: &str) {
        let before = self.inspect(service);
        let pid = before["State"]["Pid"].to_string();
        let kill = format!("kill -9 {pid}");
        let helper = ["run", "--rm", "--pid=host", "--network=none", "--user=0", "--entrypoint=/bin/sh"];
        docker(&[&helper[..], &["halyard/redis:local", "-c", &kill]].concat());
        wait::until(format!("{service} to run again"), PATIENCE, async || {
            let now = self.inspect(service);
            let again = now["State"]["Running"] == true && now["State"]["StartedAt"] != before["State"]["StartedAt"];
            again.then_some(())
        })
        .await;
    }

    /// What a service has said since its container was started last, on both of its streams.
    pub fn log(&self, service: &str) -> String {
        let since = self.inspect(service)["State"]["StartedAt"].as_str().expect("a time").to_owned();
        let said = output(Command::new("docker").args(["logs", "--since", &since, &self.container(service)]));
        assert!(said.status.success(), "docker logs of {service}");
        format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr))
    }

    /// Kills a service, which stays away until [`Self::start`].
    pub fn kill(&self, service: &str) {
        docker(&["kill", &self.container(service)]);
    }

    /// Stops a service as an operator does.
    pub fn stop(&self, service: &str) {
        docker(&["stop", "--time", "60", &self.container(service)]);
    }

    /// Starts it again.
    pub async fn start(&self, service: &str) {
        docker(&["start", &self.container(service)]);
        self.until_healthy(service).await;
    }

    /// Waits until the engine finds it healthy.
    pub async fn until_healthy(&self, service: &str) {
        wait::until(format!("{service} to be healthy"), PATIENCE, async || {
            tokio::time::sleep(Duration::from_millis(100)).await;
            (self.inspect(service)["State"]["Health"]["Status"] == "healthy").then_some(())
        })
        .await;
    }

    /// Waits until the system says that it is well, all of it.
    pub async fn until_well(&self) {
        let anonymous = self.target().anonymous();
        wait::until("the system to be healthy", PATIENCE, async || {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let answer = anonymous.request(http::Method::GET, "/health/status").try_send().await.ok()?;
            (answer.code() == 200 && answer.json()["status"] == "healthy").then_some(())
        })
        .await;
    }

    /// Waits until every node has found its way back to the database: so many answers in a row are good.
    pub async fn until_settled(&self, user: &Actor) {
        wait::until("every node to be connected again", PATIENCE, async || {
            for _ in 0..20 {
                let profile = user.get("/auth/profile").await.code();
                let list = user.get("/tasks").await.code();
                if (profile, list) != (200, 200) {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// A command in a service's container.
    pub fn exec(&self, service: &str, command: &[&str]) -> Output {
        let container = self.container(service);
        output(Command::new("docker").args(["exec", &container]).args(command))
    }

    /// SQL in the database; rows as lines.
    pub fn sql(&self, database: &str, sql: &str) -> Vec<String> {
        let psql =
            ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", sql];
        let answer = self.exec("postgres", &psql);
        assert!(answer.status.success(), "{sql}: {}", String::from_utf8_lossy(&answer.stderr));
        String::from_utf8_lossy(&answer.stdout).lines().map(str::to_owned).collect()
    }

    /// Throws away every message in every queue.
    pub fn forget_messages(&self) {
        let purge = "import json, urllib.request as u, urllib.parse as p\n\
             def call(**q): return u.urlopen('http://127.0.0.1:4566/', p.urlencode(q).encode()).read().decode()\n\
             import re\n\
             urls = re.findall('<QueueUrl>(.*?)</QueueUrl>', call(Action='ListQueues'))\n\
             assert len(urls) >= 4, urls\n\
             for url in urls: call(Action='PurgeQueue', QueueUrl=url)\n";
        let answer = self.exec("ministack", &["python3", "-c", purge]);
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    }

    /// A script of the repository, for this stack.
    pub fn script(&self, script: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(repository(script));
        command
            .args(arguments)
            .env("HALYARD_PROJECT", &self.project)
            .env("SOURCE", "docker")
            .env_remove("DATABASE_URL");
        output(&mut command)
    }
}

/// Runs docker; what it printed.
pub fn docker(arguments: &[&str]) -> String {
    let answer = output(Command::new("docker").args(arguments));
    assert!(answer.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8_lossy(&answer.stdout).trim().to_owned()
}

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

/// Submits so many tasks that take so long; their ids.
pub async fn submit(user: &Actor, count: usize, milliseconds: u64) -> Vec<String> {
    let body = json!({"task_type": "sample", "data": {"duration_ms": milliseconds}});
    futures::future::join_all((0..count).map(|_| user.submit(body.clone()))).await
}

/// Waits until every task has ended; each has to be completed, exactly once. Gives the number of attempts of each.
pub async fn completed_once(target: &Target, user: &Actor, ids: &[String]) -> Vec<i64> {
    let mut attempts = Vec::new();
    for id in ids {
        let task = target.finished_within(user, id, REPAIR).await;
        assert_eq!(task["status"], "completed", "{task}");
        let history = task["history"].as_array().expect("history");
        assert_eq!(history.iter().filter(|event| event["status"] == "completed").count(), 1, "{task}");
        attempts.push(task["result"]["attempt"].as_i64().expect("a number"));
    }
    attempts
}
