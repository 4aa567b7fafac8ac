use super::{
    load::{Kind, Load},
    stack::{Stack, completed_once},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_costs_no_request() {
    let stack = Stack::find().await;
    let target = stack.target();
    let user = target.new_user("killed-redis").await;
    let load = Load::start(&user, Kind::All);
    load.until_answered(100).await;
    stack.crash("redis").await;
    load.until_answered(100).await;
    stack.until_healthy("redis").await;
    load.until_answered(100).await;
    let tally = load.end().await;
    assert!(tally.failures.is_empty(), "{} of {}: {:#?}", tally.failures.len(), tally.answered, tally.failures);
    completed_once(&target, &user, &tally.tasks).await;
    stack.until_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_the_system_goes_on_and_says_that_it_is_degraded() {
    let stack = Stack::find().await;
    let target = stack.target();
    let user = target.new_user("no-redis").await;
    stack.kill("redis");
    let answers = [user.get("/api/protected").await, user.get("/auth/profile").await];
    let health = target.anonymous().get("/health/status").await;
    stack.start("redis").await;
    for answer in answers {
        answer.expect(200);
    }
    assert_eq!(health.expect(200).json()["status"], "degraded");
    stack.until_well().await;
}
