use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

use halyard_tests::wait;

use super::stack::{SERVICES, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn seven_nodes_in_three_roles_say_that_they_are_there() {
    let stack = Stack::find().await;
    let anonymous = stack.target().anonymous();
    let roles = wait::until("every node to be seen", Duration::from_mins(1), async || {
        let nodes = anonymous.get("/health/nodes").await.expect(200).json();
        let mut roles: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for node in nodes["data"]["nodes"].as_array()?.iter().filter(|node| node["status"] == "active") {
            let text = |name: &str| node[name].as_str().unwrap_or_default().to_owned();
            roles.entry(text("role")).or_default().push(text("node_id"));
        }
        (roles.values().map(Vec::len).sum::<usize>() == 7).then_some(roles)
    })
    .await;
    assert_eq!(roles["api"], ["api-1", "api-2", "api-3"]);
    assert_eq!(roles["worker"], ["worker-1", "worker-2"]);
    assert_eq!(roles["beat"], ["beat-1", "beat-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_alone_is_reached_from_outside_and_only_from_this_machine() {
    let stack = Stack::find().await;
    for service in SERVICES {
        let inspected = stack.inspect(service);
        let ports = inspected["NetworkSettings"]["Ports"].as_object().cloned().unwrap_or_default();
        let published: Vec<_> = ports.values().filter_map(|p| p.as_array()).flatten().collect();
        assert_eq!(published.len(), if service == "nginx" { 2 } else { 0 }, "{service}: {published:?}");
        for binding in published {
            assert_eq!(binding["HostIp"], "127.0.0.1");
            let port: u16 = binding["HostPort"].as_str().and_then(|p| p.parse().ok()).expect("a port");
            assert!(port < 32768, "{port}");
        }
    }
    // What holds data is on networks without a way out, and NGINX is on none of them but the emulator's.
    for (service, number) in [("postgres", 1), ("redis", 1), ("ministack", 2)] {
        let networks = stack.inspect(service)["NetworkSettings"]["Networks"].as_object().cloned().unwrap_or_default();
        assert_eq!(networks.len(), number, "{service}");
        for name in networks.keys() {
            assert_eq!(
                super::stack::docker(&["network", "inspect", "--format", "{{.Internal}}", name]),
                "true",
                "{name}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_takes_requests() {
    let stack = Stack::find().await;
    let anonymous = stack.target().anonymous();
    let seen = Mutex::new(BTreeSet::new());
    wait::until("each node to answer", Duration::from_secs(30), async || {
        let answer = anonymous.get("/health/ping").await.expect(200).json();
        let mut seen = seen.lock().expect("nobody panicked");
        seen.insert(answer["node_id"].as_str().unwrap_or_default().to_owned());
        (seen.len() == 3).then_some(())
    })
    .await;
    let seen = seen.into_inner().expect("nobody panicked");
    assert!(seen.iter().eq(["api-1", "api-2", "api-3"]), "{seen:?}");
}
