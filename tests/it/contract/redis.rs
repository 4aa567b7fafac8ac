//! The Redis that tests share, each under a namespace of its own.

use chrono::{DateTime, Utc};
use halyard_cloud::redis::Redis;
use halyard_tests::environment::Servers;

use super::aws::unique;

/// A handle on the shared server.
///
/// # Panics
/// With one sentence, when there is none.
pub fn shared() -> Redis {
    Redis::new(&Servers::from_env().redis_url, &unique("test")).expect("a good URL")
}

/// A moment to start from.
pub fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a moment")
}

#[tokio::test]
async fn ping_and_info_answer() {
    let redis = shared();
    redis.ping().await.expect("alive");
    let info = redis.info().await.expect("figures");
    assert!(!info.version.is_empty() && info.used_memory > 0 && info.connected_clients > 0, "{info:?}");
}

#[test]
fn a_bad_url_is_an_error_that_does_not_quote_it() {
    let error = Redis::new("http://user:secret@host", "x").expect_err("not a Redis URL");
    assert!(!error.to_string().contains("secret"), "{error}");
}
