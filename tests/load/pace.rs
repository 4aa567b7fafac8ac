//! How fast the machine is at this moment: other guests of its host slow it down by a half from one minute to the next, and a
//! figure without that says little.

use std::{hint::black_box, time::Instant};

/// Steps of the fixed computation: some 10 ms.
const STEPS: u64 = 5_000_000;
/// It is run so often.
const RUNS: usize = 9;

/// How long a fixed computation takes on one processor, in milliseconds: the median of nine.
pub fn now() -> f64 {
    let mut took: Vec<f64> = (0..RUNS).map(|_| once()).collect();
    took.sort_by(f64::total_cmp);
    took[RUNS / 2]
}

fn once() -> f64 {
    let start = Instant::now();
    let mut x = black_box(88_172_645_463_325_252_u64);
    for _ in 0..STEPS {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    black_box(x);
    start.elapsed().as_secs_f64() * 1000.0
}

/// How a note says it, of before and after a case.
pub fn since(before: f64) -> String {
    format!("a fixed computation took {before:.1} ms before, {:.1} after", now())
}
