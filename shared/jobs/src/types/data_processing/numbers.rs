//! Mean, deviation and quantiles of a stream of numbers, in bounded memory.

use std::collections::BTreeMap;

use super::output::Quantiles;

/// Quantiles are exact up to so many numbers a column.
const MAX_EXACT: usize = 200_000;
/// Two neighbouring buckets of the sketch differ by this factor, so that a bucket's middle is within 1 % of anything in it.
const GAMMA: f64 = 1.02;

#[derive(Debug)]
pub struct Numbers {
    n: u64,
    mean: f64,
    m2: f64,
    pub min: f64,
    pub max: f64,
    values: Values,
}

#[derive(Debug)]
enum Values {
    All(Vec<f64>),
    Sketch(Sketch),
}

impl Default for Numbers {
    fn default() -> Self {
        Self { n: 0, mean: 0.0, m2: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, values: Values::All(Vec::new()) }
    }
}

impl Numbers {
    /// Adds a finite number (Welford's algorithm).
    pub fn add(&mut self, x: f64) {
        self.n += 1;
        let delta = x - self.mean;
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let n = self.n as f64;
        self.mean += delta / n;
        self.m2 += delta * (x - self.mean);
        self.min = self.min.min(x);
        self.max = self.max.max(x);
        match &mut self.values {
            Values::All(all) if all.len() < MAX_EXACT => all.push(x),
            Values::All(all) => {
                let mut sketch = Sketch::default();
                all.drain(..).chain([x]).for_each(|x| sketch.add(x));
                self.values = Values::Sketch(sketch);
            }
            Values::Sketch(sketch) => sketch.add(x),
        }
    }

    /// The mean; `None` without numbers.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then_some(self.mean).filter(|mean| mean.is_finite())
    }

    /// The sample's standard deviation; `None` with fewer than two numbers.
    pub fn stddev(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let degrees = self.n.saturating_sub(1) as f64;
        (self.n > 1).then(|| (self.m2 / degrees).sqrt()).filter(|deviation| deviation.is_finite())
    }

    /// The quantiles; `None` without numbers.
    pub fn quantiles(self) -> Option<Quantiles> {
        if self.n == 0 {
            return None;
        }
        let (at, exact): (Box<dyn Fn(f64) -> f64>, bool) = match self.values {
            Values::All(mut all) => {
                all.sort_unstable_by(f64::total_cmp);
                (Box::new(move |q| interpolated(&all, q)), true)
            }
            Values::Sketch(sketch) => (Box::new(move |q| sketch.quantile(q).clamp(self.min, self.max)), false),
        };
        Some(Quantiles { p25: at(0.25), p50: at(0.5), p75: at(0.75), p95: at(0.95), exact })
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
fn interpolated(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() - 1) as f64;
    let below = position.floor();
    let (low, high) = (sorted[below as usize], sorted[position.ceil() as usize]);
    low + (high - low) * (position - below)
}

/// Counts by the logarithm of the absolute value, negatives, zeros and positives apart (as in `DDSketch`, Masson et al., 2019).
#[derive(Debug, Default)]
struct Sketch {
    negative: BTreeMap<i32, u64>,
    zeros: u64,
    positive: BTreeMap<i32, u64>,
    n: u64,
}

impl Sketch {
    fn add(&mut self, x: f64) {
        self.n += 1;
        if x == 0.0 {
            self.zeros += 1;
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "the logarithm of a finite double is below 40,000")]
        let bucket = (x.abs().ln() / GAMMA.ln()).ceil() as i32;
        *if x < 0.0 { &mut self.negative } else { &mut self.positive }.entry(bucket).or_default() += 1;
    }

    fn quantile(&self, q: f64) -> f64 {
        let middle = |bucket: i32| (f64::from(bucket) * GAMMA.ln()).exp() * 2.0 / (1.0 + GAMMA);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = (q * (self.n - 1) as f64).round() as u64;
        let ascending = self.negative.iter().rev().map(|(&bucket, &n)| (-middle(bucket), n));
        let ascending = ascending.chain([(0.0, self.zeros)]);
        let ascending = ascending.chain(self.positive.iter().map(|(&bucket, &n)| (middle(bucket), n)));
        let mut seen = 0;
        let mut last = 0.0;
        for (value, n) in ascending {
            seen += n;
            last = value;
            if seen > rank {
                break;
            }
        }
        last
    }
}
