//! A Redis in cluster mode that belongs to one test: real servers, a password, slots shared out evenly.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use halyard_cloud::redis::Redis;
use redis::FromRedisValue;

use crate::{scratch::Scratch, wait};

const PATIENCE: Duration = Duration::from_secs(30);
const SLOTS: usize = 16_384;
/// Milliseconds after which a server that does not answer counts as failed.
const NODE_TIMEOUT: &str = "400";

/// The servers: first those with slots, then replicas.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<ClusterNode>,
    scratch: Scratch,
}

/// One server.
#[derive(Debug)]
pub struct ClusterNode {
    server: Child,
    /// Where it listens.
    pub port: u16,
    /// What the cluster calls it.
    pub id: String,
    /// A way to this server that follows no redirection: its commands have no keys, or this server has them.
    direct: Redis,
}

impl RedisCluster {
    /// Starts `masters` servers that share the slots, and waits until all of them agree.
    pub async fn start(masters: usize) -> Self {
        let scratch = Scratch::new("rc");
        let mut nodes = Vec::new();
        for _ in 0..masters {
            nodes.push(ClusterNode::start(&scratch, nodes.len()).await);
        }
        let this = Self { nodes, scratch };
        for (n, node) in this.nodes.iter().enumerate() {
            let (first, last) = (SLOTS * n / masters, SLOTS * (n + 1) / masters - 1);
            node.tell(&["ADDSLOTSRANGE", &first.to_string(), &last.to_string()]).await;
            this.introduce(node).await;
        }
        this.until_complete().await;
        this
    }

    /// Adds a replica of the server number `of`, and waits until it has everything.
    pub async fn add_replica(&mut self, of: usize) {
        let node = ClusterNode::start(&self.scratch, self.nodes.len()).await;
        self.introduce(&node).await;
        let master = self.nodes[of].id.clone();
        wait::until("the replica to know its master", PATIENCE, async || {
            node.try_tell::<String>(&["REPLICATE", &master]).await.ok()
        })
        .await;
        wait::until("the replica to have everything", PATIENCE, async || {
            let mut info = redis::cmd("INFO");
            info.arg("replication");
            let state = node.direct.run::<String>(&info).await.ok()?;
            state.contains("master_link_status:up").then_some(())
        })
        .await;
        self.nodes.push(node);
        self.until_complete().await;
    }

    /// The servers.
    pub fn nodes(&self) -> &[ClusterNode] {
        &self.nodes
    }

    /// A handle that is told of the server number `node` alone.
    pub fn connect(&self, node: usize) -> Redis {
        handle(self.nodes[node].port)
    }

    /// Which server has the slot of `key`, and the slot.
    pub async fn owner(&self, key: &str) -> (usize, u16) {
        let slot: u16 = self.nodes[0].try_tell(&["KEYSLOT", key]).await.expect("a slot");
        let masters = self.nodes.len().min(3);
        (usize::from(slot) * masters / SLOTS, slot)
    }

    /// Kills a server.
    pub fn kill(&mut self, node: usize) {
        let server = &mut self.nodes[node].server;
        server.kill().and_then(|()| server.wait()).expect("it is gone");
    }

    /// Every server meets the first.
    async fn introduce(&self, node: &ClusterNode) {
        let port = self.nodes[0].port;
        node.tell(&["MEET", "127.0.0.1", &port.to_string(), &bus(port).to_string()]).await;
    }

    async fn until_complete(&self) {
        let all = format!("cluster_known_nodes:{}", self.nodes.len());
        for node in &self.nodes {
            wait::until("the cluster to be complete", PATIENCE, async || {
                let info = node.try_tell::<String>(&["INFO"]).await.ok()?;
                (info.contains("cluster_state:ok") && info.contains(&all)).then_some(())
            })
            .await;
        }
    }
}

impl Drop for RedisCluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ = node.server.kill();
            let _ = node.server.wait();
        }
    }
}

impl ClusterNode {
    async fn start(scratch: &Scratch, number: usize) -> Self {
        let port = free_port();
        let directory = scratch.path().join(number.to_string());
        std::fs::create_dir(&directory).expect("a directory");
        let mut server = Command::new("redis-server");
        server.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        server.args(["--requirepass", "secret", "--masterauth", "secret", "--cluster-enabled", "yes"]);
        server.args(["--port", &port.to_string(), "--cluster-port", &bus(port).to_string()]);
        server.args(["--cluster-node-timeout", NODE_TIMEOUT, "--repl-diskless-sync-delay", "0"]);
        server.arg("--dir").arg(directory).stdout(Stdio::null()).stderr(Stdio::null());
        let server = server.spawn().expect("redis-server starts");
        let direct = handle(port);
        wait::until("Redis to answer", PATIENCE, async || direct.ping().await.ok()).await;
        let mut this = Self { server, port, id: String::new(), direct };
        this.id = this.try_tell(&["MYID"]).await.expect("a name");
        this
    }

    /// Runs `CLUSTER ...` on this server.
    pub async fn tell(&self, arguments: &[&str]) {
        self.try_tell::<String>(arguments).await.unwrap_or_else(|e| panic!("CLUSTER {arguments:?}: {e}"));
    }

    async fn try_tell<T: FromRedisValue>(&self, arguments: &[&str]) -> Result<T, halyard_cloud::redis::RedisError> {
        let mut command = redis::cmd("CLUSTER");
        command.arg(arguments);
        self.direct.run(&command).await
    }

    /// How many keys it holds.
    pub async fn size(&self) -> u64 {
        self.direct.run(&redis::cmd("DBSIZE")).await.expect("a number")
    }
}

fn handle(port: u16) -> Redis {
    Redis::new(&format!("redis://:secret@127.0.0.1:{port}"), "halyard-prod").expect("a good URL")
}

/// The servers' own channel.
fn bus(port: u16) -> u16 {
    port + 200
}

/// A port below those that the system gives to outgoing connections, whose bus port is free, too.
fn free_port() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let from = 21_000 + u16::try_from(std::process::id() % 50).expect("small") * 4;
    let free = (from..32_000).filter(|port| port / 200 % 2 == 1).find(|port| is_free(*port) && is_free(bus(*port)));
    free.expect("a free port")
}
