//! Waiting for a condition, with a deadline. The only place of the tests that lets real time pass.

use std::{
    fmt::Display,
    future::Future,
    time::{Duration, Instant},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Asks again and again until `condition` gives a value; panics with `what` once `limit` has passed.
pub async fn until<T, F>(what: impl Display, limit: Duration, condition: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    until_every(PAUSE, || &what, limit, condition).await
}

/// Likewise with another pause, for what is expensive to ask, and with words that are found when they are needed.
pub async fn until_every<T, F, S>(
    pause: Duration,
    what: impl Fn() -> S,
    limit: Duration,
    mut condition: impl FnMut() -> F,
) -> T
where
    F: Future<Output = Option<T>>,
    S: Display,
{
    let start = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {}", what());
        tokio::time::sleep(pause).await;
    }
}

/// Likewise, outside of async code.
pub fn until_blocking<T>(what: impl Display, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        std::thread::sleep(PAUSE);
    }
}
