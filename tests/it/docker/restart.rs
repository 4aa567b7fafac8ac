use std::collections::BTreeMap;

use super::{
    load::{Kind, Load},
    stack::{API, BEATS, Stack, WORKERS, completed_once},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_fails_no_request() {
    let stack = Stack::find().await;
    let target = stack.target();
    let user = target.new_user("rolling").await;
    let nodes = || API.into_iter().chain(WORKERS).chain(BEATS);
    let before: BTreeMap<&str, String> = nodes().map(|node| (node, stack.container(node))).collect();

    let load = Load::start(&user, Kind::All);
    load.until_answered(100).await;
    let restarting = stack.clone();
    let restarted = tokio::task::spawn_blocking(move || restarting.script("scripts/docker", &["restart"])).await;
    let restarted = restarted.expect("the script ran");
    assert!(restarted.status.success(), "{}", String::from_utf8_lossy(&restarted.stderr));
    load.until_answered(100).await;
    let tally = load.end().await;

    for node in nodes() {
        assert_ne!(stack.container(node), before[node], "{node} is a new one");
    }
    assert!(tally.failures.is_empty(), "{} of {}: {:#?}", tally.failures.len(), tally.answered, tally.failures);
    println!("a rolling restart of seven nodes: {} requests, none failed", tally.answered);
    // Most were run by one worker or the other; a few may have been cut off and run again.
    completed_once(&target, &user, &tally.tasks).await;
    stack.until_well().await;
}
