//! The deploy step.

use halyard_tests::stack::EmulatedStack;

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_whose_migrations_cannot_be_applied_fails_and_may_be_repeated() {
    let stack = EmulatedStack::prepare("migrate").await;
    let nowhere = format!("{}_that_is_not_there", stack.database.url());
    let refused = stack.deploy(&[("DatabaseUrl", &nowhere)]).await;
    assert!(!refused.succeeded, "{refused:?}");
    assert!(refused.said.contains("its migrations are not applied"), "{}", refused.said);
    assert!(refused.said.contains("does not exist"), "the database's own words: {}", refused.said);
    assert!(refused.url.is_empty(), "no URL invites anybody: {}", refused.url);

    let first = stack.deploy(&[]).await;
    assert!(first.succeeded, "{}", first.said);
    let applied = halyard_store::migrator().iter().count();
    assert!(first.said.contains(&format!("migrations applied: {applied}")), "{}", first.said);
    let second = stack.deploy(&[]).await;
    assert!(second.said.contains("migrations applied: 0"), "{}", second.said);
    second.target().admin().await.get("/api/protected").await.expect(200);
}
