//! The documents that say how to add something, followed block by block in a copy of the repository under `make watch`.

use std::{process::Command, time::Duration};

use halyard_tests::{Actor, Scratch, wait};
use http::Method;
use serde_json::Value;

use super::{
    check_surroundings,
    document::{Document, says},
    session::Watch,
    tree::Tree,
};

/// How long an edit may take to show: crates are compiled meanwhile.
const SHOWS: Duration = Duration::from_mins(5);
/// Between two looks: the compiler needs the processor more.
const PAUSE: Duration = Duration::from_millis(250);
/// Asked while a function is built, a request may wait for longer than a test likes to.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_documents_lead_where_they_say_and_edits_show() {
    check_surroundings();
    let (tree, data) = (Tree::copy(), Scratch::new("walk"));
    let mut watch = Watch::start(&tree.repository(), Some(&tree.target()), data.path());
    watch.until_healthy();
    let target = watch.target();
    until_there(&watch, &target.anonymous()).await;
    let admin = target.admin().await;

    tree.replace("functions/status/src/routes/ping.rs", r#"status: "healthy""#, r#"status: "edited""#);
    until(&watch, &admin, "/health/ping", &serde_json::json!({"status": "edited"})).await;

    let endpoint = Document::read(&tree, "docs/adding-an-endpoint.md");
    endpoint.follow(&tree);
    for (path, expected) in endpoint.answers() {
        until(&watch, &admin, &path, &expected).await;
    }

    let task = Document::read(&tree, "docs/adding-a-task.md");
    task.follow(&tree);
    let (asked, expected) = (task.json("submit"), task.json("result"));
    let id = submitted(&watch, &admin, &asked).await;
    until(&watch, &admin, &format!("/tasks/result/{id}"), &serde_json::json!({"data": {"result": expected}})).await;
    drop(watch);

    let mut filters = [endpoint.tests(), task.tests()].concat();
    assert_eq!(filters.len(), 2, "each document writes a test: {filters:?}");
    // Those that the documents promise.
    filters.extend(["template::", "anonymous::"].map(str::to_owned));
    run(&tree, &filters);
}

/// Asks until the answer says what is expected.
async fn until(watch: &Watch, actor: &Actor, path: &str, expected: &Value) {
    let what = || format!("GET {path} to answer {expected}\n{}", watch.log());
    wait::until_every(PAUSE, what, SHOWS, async || {
        let answer = attempt(actor.request(Method::GET, path)).await?;
        says(&answer, expected).then_some(())
    })
    .await;
}

/// Asks until there are keys: a function is built when it is first asked, and that may take longer than a request may.
async fn until_there(watch: &Watch, actor: &Actor) {
    let path = "/.well-known/jwks.json";
    let what = || format!("GET {path} to answer\n{}", watch.log());
    wait::until_every(PAUSE, what, SHOWS, async || {
        attempt(actor.request(Method::GET, path)).await?.get("keys").map(drop)
    })
    .await;
}

/// Submits until the type is known; gives the task's id.
async fn submitted(watch: &Watch, actor: &Actor, body: &Value) -> String {
    let what = || format!("{body} to be taken\n{}", watch.log());
    wait::until_every(PAUSE, what, SHOWS, async || {
        let answer = attempt(actor.request(Method::POST, "/tasks/submit").json(body)).await?;
        answer["data"]["task_id"].as_str().map(str::to_owned)
    })
    .await
}

/// While something is being built, nobody may answer, or somebody else.
async fn attempt(draft: halyard_tests::actor::Draft) -> Option<Value> {
    let answer = tokio::time::timeout(PATIENCE, draft.try_send()).await.ok()?.ok()?;
    serde_json::from_slice(&answer.body).ok()
}

/// Runs tests of the copy.
fn run(tree: &Tree, filters: &[String]) {
    let mut cargo = Command::new(env!("CARGO"));
    // All members, so that the crates are those that are compiled already.
    cargo.args(["test", "--offline", "--workspace", "--test", "it", "--"]).args(filters);
    cargo.current_dir(tree.repository()).env("CARGO_TARGET_DIR", tree.target()).env_remove("DATABASE_URL");
    let done = cargo.output().expect("cargo runs");
    let (said, complaints) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{complaints}");
    for filter in filters {
        assert!(said.contains(&format!("\ntest {filter}")), "{filter} names no test: {said}");
    }
}
