//! `make watch`: the functions as processes of their own under `cargo lambda watch`, the gateway in front of them, SQS and
//! `DynamoDB` played by an emulator. The end-to-end suite passes, edits show, and the documents' steps lead where they say.

mod document;
mod documents;
mod session;
mod tree;

use halyard_tests::{Scratch, environment::variable, routes::repository};

use session::Watch;

/// The emulator and `cargo-lambda` come with `scripts/test`.
fn check_surroundings() {
    let there = variable("TEST_CARGO_LAMBDA").is_some();
    assert!(there, "this test needs cargo-lambda and an emulator of AWS: run it with `make test`, which brings both");
}

#[tokio::test]
async fn the_end_to_end_suite_passes_with_every_function_a_process_of_its_own() {
    check_surroundings();
    let data = Scratch::new("watch");
    let mut watch = Watch::start(&repository("."), None, data.path());
    watch.until_healthy();
    watch.suite_passes("e2e::");
}
