//! Token buckets, one per route, as the stage's throttling settings ask for.
//!
//! Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html>.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use crate::template::Throttle;

/// A bucket that holds `burst` tokens and gains `rate` of them a second.
#[derive(Debug)]
pub struct Bucket {
    throttle: Throttle,
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    /// A full bucket.
    pub fn new(throttle: Throttle) -> Self {
        Self { throttle, state: Mutex::new((f64::from(throttle.burst), Instant::now())) }
    }

    /// Takes a token, if there is one.
    pub fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    /// The same, at a given time.
    pub fn take_at(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, then) = *state;
        let gained = now.saturating_duration_since(then).as_secs_f64() * self.throttle.rate;
        let tokens = (tokens + gained).min(f64::from(self.throttle.burst));
        let taken = tokens >= 1.0;
        *state = (if taken { tokens - 1.0 } else { tokens }, now.max(then));
        taken
    }
}
