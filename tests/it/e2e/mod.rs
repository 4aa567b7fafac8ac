//! The same suite against an application in this process and against any base URL:
//! `HALYARD_BASE_URL=http://127.0.0.1:8000 cargo nextest run -E 'test(/^e2e::/)'`. It uses HTTP and nothing else, may run
//! twice against one system, and leaves lanes other than `low` alone. `HALYARD_PROFILE` says what the system is; what cannot
//! run there is listed in `tests/src/left_out.rs`.

mod accounts;
mod data;
mod delivery;
mod encoding;
mod gateway;
mod health;
mod identity;
mod left_out;
mod limits;
mod lists;
mod logs;
mod mail;
mod ownership;
mod queues;
mod revocation;
mod schedules;
mod tasks;
mod webhooks;
mod workflows;

use halyard_tests::TestResponse;

/// Does the answer carry what every answer of a function does?
fn assert_is_named(answer: &TestResponse) {
    assert!(!answer.header("x-request-id").is_empty(), "{answer:?}");
    assert!(answer.header("traceparent").starts_with("00-"), "{answer:?}");
}
