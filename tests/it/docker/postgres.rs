use super::{
    load::{Kind, Load},
    stack::{Stack, completed_once, submit},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postgres_comes_back_with_everything_and_nobody_got_a_wrong_answer() {
    let stack = Stack::find().await;
    let target = stack.target();
    let user = target.new_user("killed-postgres").await;
    let done = submit(&user, 5, 0).await;
    completed_once(&target, &user, &done).await;
    let before = user.task(&done[0]).await;
    let under_way = submit(&user, 20, 2000).await;

    let load = Load::start(&user, Kind::All);
    load.until_answered(100).await;
    stack.crash("postgres").await;
    stack.until_healthy("postgres").await;
    load.until_answered(100).await;
    let tally = load.end().await;

    let wrong: Vec<_> = tally.failures.iter().filter(|failure| !failure.contains(": 503 ")).collect();
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), tally.answered);
    assert_eq!(user.task(&done[0]).await, before, "what was finished is as it was");
    completed_once(&target, &user, &under_way).await;
    // Whatever was answered with 200 is there.
    completed_once(&target, &user, &tally.tasks).await;
    target
        .anonymous()
        .post("/auth/login", serde_json::json!({"username": user.username, "password": user.password}))
        .await
        .expect(200);
    stack.until_settled(&user).await;
    stack.until_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_postgres_shuts_down_in_order() {
    let stack = Stack::find().await;
    let user = stack.target().new_user("stopped-postgres").await;
    stack.stop("postgres");
    assert_eq!(stack.inspect("postgres")["State"]["ExitCode"], 0);
    stack.start("postgres").await;
    let log = stack.log("postgres");
    assert!(log.contains("database system is ready"), "{log}");
    assert!(!log.contains("automatic recovery in progress"), "{log}");
    stack.until_settled(&user).await;
    stack.until_well().await;
}
