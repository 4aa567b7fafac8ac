//! schemathesis (<https://schemathesis.readthedocs.io>) over the document: requests that its schemas allow and requests that
//! they do not, against a running system. Nothing may be answered that the document does not say, no credential ignored,
//! nothing fail. `tests/data/schemathesis.toml` says what is checked, and how often.

use std::process::Command;

use halyard_tests::{Scratch, TestApp, openapi, routes::repository};

/// What ends the session that asks: gone over apart, so that the rest is asked by somebody who is signed in.
const ENDS_SESSIONS: [&str; 3] = ["logout", "logoutAll", "endSession"];

/// One run, with the token of somebody; gives the number of requests that were made up.
async fn go_over(app: &TestApp, token: Option<String>, which: &[String]) -> u32 {
    let mut run = Command::new(repository(".local/venv-api/bin/schemathesis"));
    let scratch = Scratch::new("schemathesis");
    run.arg("--config-file").arg(repository("tests/data/schemathesis.toml")).arg("run").arg(openapi::file());
    run.args(["--url", &format!("http://{}", app.address()), "--no-color"]).args(which);
    run.current_dir(scratch.path()).env("SCHEMATHESIS_TOKEN", token.expect("somebody who is signed in"));
    // The application answers meanwhile.
    let done = tokio::task::spawn_blocking(move || run.output()).await.expect("a thread");
    let done = done.expect("scripts/venv installs schemathesis");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success(), "{said}");
    println!("{said}");
    let generated = said.split_once("Test cases:").and_then(|(_, figures)| figures.split_whitespace().next());
    generated.and_then(|number| number.parse().ok()).expect("how many requests there were")
}

fn all_but_those_that_end_sessions() -> Vec<String> {
    ENDS_SESSIONS.iter().flat_map(|id| ["--exclude-operation-id".to_owned(), (*id).to_owned()]).collect()
}

async fn app() -> TestApp {
    let app = TestApp::builder().live().without_rate_limits().listening_behind(&[]).spawn().await;
    app.leave_unfinished();
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_administrator_is_answered_what_the_document_says() {
    let app = app().await;
    let asked = go_over(&app, app.admin().await.access_token, &all_but_those_that_end_sessions()).await;
    assert!(asked > 1000, "{asked} requests only");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_answered_what_the_document_says() {
    let app = app().await;
    let asked = go_over(&app, app.user().await.access_token, &all_but_those_that_end_sessions()).await;
    assert!(asked > 1000, "{asked} requests only");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_ends_their_session_is_answered_what_the_document_says() {
    let app = app().await;
    for id in ENDS_SESSIONS {
        let only = ["--phases", "examples,coverage,fuzzing", "--include-operation-id", id].map(str::to_owned);
        go_over(&app, app.admin().await.access_token, &only).await;
    }
}
