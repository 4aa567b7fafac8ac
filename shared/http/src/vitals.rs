//! What this process has answered within the last minute. Kept in memory, for the whole process: a node is a host, and
//! where a host runs many environments in one process they are one node.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use http::StatusCode;

/// Length of a slot, in seconds.
const SLOT: i64 = 10;
/// Slots of a minute.
const SLOTS: usize = 6;

#[derive(Clone, Copy)]
struct Slot {
    number: i64,
    requests: u32,
    faults: u32,
    micros: u64,
}

const EMPTY: Slot = Slot { number: i64::MIN, requests: 0, faults: 0, micros: 0 };
static WINDOW: Mutex<[Slot; SLOTS]> = Mutex::new([EMPTY; SLOTS]);

/// Rates of the last minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vitals {
    /// Requests answered.
    pub requests_per_minute: f64,
    /// Share of answers of class 5xx, 0 to 1; `None` without requests.
    pub error_rate: Option<f64>,
    /// Mean duration in milliseconds; `None` without requests.
    pub response_time_ms: Option<f64>,
}

/// The rates of the minute that ends at `now`.
pub fn vitals(now: DateTime<Utc>) -> Vitals {
    let present = now.timestamp().div_euclid(SLOT);
    let slots = *WINDOW.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut requests, mut faults, mut micros) = (0_u32, 0_u32, 0_u64);
    for slot in slots.iter().filter(|s| (present - 5..=present).contains(&s.number)) {
        requests += slot.requests;
        faults += slot.faults;
        micros += slot.micros;
    }
    let n = f64::from(requests);
    Vitals {
        requests_per_minute: n,
        error_rate: (requests > 0).then(|| f64::from(faults) / n),
        response_time_ms: (requests > 0).then(|| Duration::from_micros(micros).as_secs_f64() * 1e3 / n),
    }
}

pub(crate) fn note(now: DateTime<Utc>, status: StatusCode, took: Duration) {
    let number = now.timestamp().div_euclid(SLOT);
    let at = usize::try_from(number.rem_euclid(6)).unwrap_or_default();
    let slot = &mut WINDOW.lock().unwrap_or_else(PoisonError::into_inner)[at];
    if slot.number != number {
        *slot = Slot { number, ..EMPTY };
    }
    slot.requests += 1;
    slot.faults += u32::from(status.is_server_error());
    slot.micros += u64::try_from(took.as_micros()).unwrap_or_default();
}
