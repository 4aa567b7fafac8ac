//! What nodes show of themselves, whom they believe, and how much of the database they take.

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use futures::future::join_all;
use halyard_gateway::{
    Limits,
    local::part::{Part, Role as Played, database_connections, tasks_at_once},
};
use halyard_tests::{Actor, Cluster, cluster::Role, routes, transport::Remote, wait};
use serde_json::json;

const TOPOLOGY: [(Role, Played, u32); 3] =
    [(Role::Api, Played::Api, 3), (Role::Worker, Played::Worker, 2), (Role::Beat, Played::Beat, 2)];

/// What a node in this role opens at most, in the mode that nodes run in.
fn connections(role: Played) -> u32 {
    let mut stack = routes::stack();
    Part::Node(role).cut(&mut stack);
    database_connections(&stack, Limits::managed(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_is_shown_with_its_role_and_takes_no_more_connections_than_is_reckoned() {
    let cluster = Cluster::prepare().await;
    let mut nodes = Vec::new();
    for (role, _, n) in TOPOLOGY {
        nodes.extend((1..=n).map(|n| cluster.spawn(role, &format!("{role:?}-{n}").to_lowercase())));
    }
    for node in &mut nodes {
        node.until_ready();
    }
    let anonymous = Actor::anonymous(Arc::new(Remote::new(&nodes[0].base_url())));
    let shown = wait::until("every node to be shown", Duration::from_secs(30), async || {
        let data = anonymous.get("/health/nodes").await.expect(200).json()["data"].take();
        (data["active_nodes"] == 7).then_some(data)
    })
    .await;
    assert_eq!(shown["total_nodes"], 7, "{shown}");
    let roles: BTreeMap<&str, &str> = shown["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| (node["node_id"].as_str().unwrap_or_default(), node["role"].as_str().unwrap_or_default()))
        .collect();
    for node in &nodes {
        let role = node.name().split('-').next();
        assert_eq!(roles.get(node.name()).copied(), role, "{shown}");
    }
    let mut worker = routes::stack();
    Part::Node(Played::Worker).cut(&mut worker);
    let capacity = cluster.count("select sum(capacity) from nodes where role = 'worker'").await;
    assert_eq!(capacity, 2 * i64::from(tasks_at_once(&worker)), "what two workers run side by side");
    // All of them busy.
    let admin = cluster.admin(&nodes[0]).await;
    let callers = nodes[..3].iter().map(|node| cluster.at(node, &admin));
    let body = json!({"task_type": "sample", "data": {"duration_ms": 50}});
    join_all(callers.flat_map(|at| vec![at; 20]).map(|at| {
        let body = body.clone();
        async move { at.submit(body).await }
    }))
    .await;
    let open =
        "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'halyard'";
    let open = cluster.count(open).await;
    let reckoned: u32 = TOPOLOGY.iter().map(|(_, role, n)| n * connections(*role)).sum();
    assert!((7..=i64::from(reckoned)).contains(&open), "{open} connections, {reckoned} reckoned");
}

#[test]
fn the_containers_together_stay_below_the_connections_that_their_database_has() {
    let compose = fs::read_to_string(routes::repository("localstack/compose.yaml")).expect("compose.yaml");
    let server = fs::read_to_string(routes::repository("localstack/images/postgres/entrypoint")).expect("entrypoint");
    let setting = |name: &str| -> u32 {
        let value = server.split_once(&format!("{name}=")).and_then(|(_, rest)| rest.split_whitespace().next());
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("the server is not told {name}"))
    };
    let mut sum = 0;
    for (role, played, n) in TOPOLOGY {
        let anchor = format!("<<: *{}", format!("{role:?}").to_lowercase());
        let services = compose.lines().filter(|line| line.trim() == anchor).count();
        assert_eq!(services, n as usize, "{role:?}: the topology of these tests is that of compose.yaml");
        assert!(connections(played) > 0, "{role:?} has a database");
        sum += n * connections(played);
    }
    // The deploy step runs beside them when they are restarted: it has a pool of one, and one to migrate.
    sum += 2;
    let limit = setting("max_connections") - setting("superuser_reserved_connections");
    assert!(sum <= limit, "{sum} connections of {limit}");
}

/// Registrations are limited to five a minute for each client address.
async fn register(caller: &Actor, address: &str, n: u32) -> u16 {
    let name = format!("somebody-{}-{n}", address.replace('.', "-"));
    let body = json!({"username": name, "email": format!("{name}@example.com"), "password": "correct horse battery"});
    caller
        .request(http::Method::POST, "/auth/register")
        .header("x-forwarded-for", address)
        .json(&body)
        .send()
        .await
        .code()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_peer_is_believed_who_the_client_is() {
    let cluster = Cluster::builder().variable("RATE_LIMITS", "on").prepare().await;
    let open = cluster.start(Role::Api, "api-1");
    let caller = Actor::anonymous(Arc::new(Remote::new(&open.base_url())));
    let mut codes = Vec::new();
    for n in 0..6 {
        codes.push(register(&caller, &format!("203.0.113.{n}"), n).await);
    }
    assert_eq!(codes, [200, 200, 200, 200, 200, 429], "who we are not told to believe is counted by its own address");
    let mut behind = cluster.spawn_with(Role::Api, "api-2", &[], &[("TRUSTED_PEERS", "192.0.2.0/24, 127.0.0.1")]);
    behind.until_ready();
    let proxy = Actor::anonymous(Arc::new(Remote::new(&behind.base_url())));
    for n in 10..16 {
        assert_eq!(register(&proxy, &format!("203.0.113.{n}"), n).await, 200, "each client has its own limit");
    }
    let codes = join_all((0..6).map(|n| register(&proxy, "198.51.100.1", n))).await;
    assert_eq!(codes.iter().filter(|code| **code == 429).count(), 1, "{codes:?}");
    // What the client itself put in front does not count: the proxy's own word is the last.
    assert_eq!(register(&proxy, "203.0.113.99, 198.51.100.1", 7).await, 429);
}
