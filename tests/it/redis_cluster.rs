//! The client's commands against a Redis in cluster mode, which refuses what touches two slots. One node has them all,
//! because the client follows no redirections.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use chrono::{DateTime, Utc};
use halyard_cloud::redis::{Check, Limits, Outcome, Redis, SessionCache, Visit};
use halyard_domain::{SessionId, UserId};
use halyard_tests::{Scratch, wait};

const PATIENCE: Duration = Duration::from_secs(20);

struct Cluster {
    server: Child,
    port: u16,
    _scratch: Scratch,
}

impl Cluster {
    async fn start() -> Self {
        let scratch = Scratch::new("rc");
        let (port, bus) = (free_port(21_700), free_port(21_900));
        let mut server = Command::new("redis-server");
        server.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--requirepass", "secret"]);
        server.args(["--port", &port.to_string(), "--cluster-port", &bus.to_string(), "--cluster-enabled", "yes"]);
        server.arg("--dir").arg(scratch.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let this = Self { server: server.spawn().expect("redis-server starts"), port, _scratch: scratch };
        let redis = this.connect();
        wait::until("Redis to answer", PATIENCE, async || redis.ping().await.ok()).await;
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("ADDSLOTSRANGE").arg(0).arg(16_383);
        redis.run::<String>(&slots).await.expect("all slots");
        let mut info = redis::cmd("CLUSTER");
        info.arg("INFO");
        wait::until("the cluster to be complete", PATIENCE, async || {
            redis.run::<String>(&info).await.ok().filter(|state| state.contains("cluster_state:ok"))
        })
        .await;
        this
    }

    fn connect(&self) -> Redis {
        Redis::new(&format!("redis://:secret@127.0.0.1:{}", self.port), "halyard-prod").expect("a good URL")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A port below those that the system gives to outgoing connections.
fn free_port(from: u16) -> u16 {
    let offset = u16::try_from(std::process::id() % 100).expect("small");
    let free = (from + offset..32_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("a free port")
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a moment")
}

#[tokio::test]
async fn every_command_of_the_client_keeps_to_one_slot() {
    let cluster = Cluster::start().await;
    let redis = cluster.connect();
    let mut two_slots = redis::cmd("MGET");
    two_slots.arg("{a}:1").arg("{b}:1");
    let refused = redis.run::<Vec<Option<String>>>(&two_slots).await.expect_err("two slots").to_string();
    assert!(refused.to_lowercase().contains("slot"), "the server looks at slots: {refused}");

    let limits = Limits::new(redis.clone());
    let checks = [Check::per_minute("login:account:ada", 5), Check::per_minute("login:address:192.0.2.1", 100)];
    let outcomes = [Outcome { route: "GET /x".into(), status: 200, duration: Duration::from_millis(3), at: now() }];
    let visit = Visit { route: Some("POST /auth/login"), outcomes: &outcomes };
    let decisions = limits.enter(now(), &checks, visit).await.expect("one slot");
    assert_eq!((decisions.len(), decisions[0].remaining), (2, 4));
    limits.penalize(now(), &checks[0]).await.expect("one slot");
    assert_eq!(redis.live_counts(now(), 3).await.expect("one slot")[0].requests, 1);

    let cache = SessionCache::new(redis.clone(), Duration::from_secs(5));
    let (user, session) = (UserId(7), SessionId(uuid::Uuid::from_u128(9)));
    cache.fill(user, None, Some(3), now(), now()).await.expect("one slot");
    cache.tombstone(user, session, 1, now()).await.expect("one slot");
    let hit = cache.get(user, session, now()).await.expect("one slot");
    assert_eq!(hit.epoch, Some(3));
    assert!(hit.session.is_some(), "the tombstone is there");
    redis.info().await.expect("figures");
}
