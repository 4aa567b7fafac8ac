use halyard_tests::wait;

use super::{
    load::{Kind, Load},
    stack::{API, PATIENCE, Stack},
};

/// Waits until a node's answers come through NGINX.
async fn until_it_answers(stack: &Stack, node: &str) {
    let anonymous = stack.target().anonymous();
    wait::until(format!("{node} to take requests"), PATIENCE, async || {
        let answer = anonymous.request(http::Method::GET, "/health/ping").try_send().await.ok()?;
        (answer.code() == 200 && answer.json()["node_id"] == node).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_api_node_costs_no_idempotent_request_and_takes_traffic_again() {
    let stack = Stack::find().await;
    let user = stack.target().new_user("killed-api").await;
    let load = Load::start(&user, Kind::Idempotent);
    load.until_answered(200).await;
    stack.crash("api-1").await;
    until_it_answers(&stack, "api-1").await;
    load.until_answered(200).await;
    let tally = load.end().await;
    assert!(tally.failures.is_empty(), "{} of {}: {:#?}", tally.failures.len(), tally.answered, tally.failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_api_node_of_three_is_enough() {
    let stack = Stack::find().await;
    let user = stack.target().new_user("last-api").await;
    let load = Load::start(&user, Kind::Idempotent);
    load.until_answered(100).await;
    stack.kill("api-1");
    stack.kill("api-2");
    load.until_answered(200).await;
    let tally = load.end().await;
    stack.start("api-1").await;
    stack.start("api-2").await;
    assert!(tally.failures.is_empty(), "{} of {}: {:#?}", tally.failures.len(), tally.answered, tally.failures);
    until_it_answers(&stack, "api-2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_api_node_killed_clients_hear_so_and_then_all_is_well_again() {
    let stack = Stack::find().await;
    let anonymous = stack.target().anonymous();
    for node in API {
        stack.kill(node);
    }
    let answers = futures::future::join_all((0..8).map(|_| anonymous.get("/health/ping"))).await;
    for node in API {
        stack.start(node).await;
    }
    for answer in answers {
        assert!(!answer.expect_problem(503, "unavailable").header("retry-after").is_empty());
    }
    for node in API {
        until_it_answers(&stack, node).await;
    }
    stack.until_well().await;
}
