//! A log-bucket histogram of durations: constant size, mergeable by addition, known precision.

/// Buckets per doubling. Eight give a relative error of at most 4.5 % at a bucket's middle.
const PER_DOUBLING: f64 = 8.0;
/// The shortest duration told apart, in seconds.
const FLOOR: f64 = 0.001;
/// The highest bucket: 0.001 s x 2^(239/8) is about 11 days.
pub const MAX_BUCKET: i16 = 239;

/// The bucket of a duration in seconds. Shorter than a millisecond is bucket 0.
pub fn bucket(seconds: f64) -> i16 {
    if !seconds.is_finite() || seconds <= FLOOR {
        return 0;
    }
    let index = (seconds / FLOOR).log2() * PER_DOUBLING;
    #[expect(clippy::cast_possible_truncation, reason = "clamped to 0..=239")]
    let index = index.floor().clamp(0.0, f64::from(MAX_BUCKET)) as i16;
    index
}

/// The duration that stands for a bucket: its geometric middle, in seconds.
pub fn middle(bucket: i16) -> f64 {
    FLOOR * ((f64::from(bucket.clamp(0, MAX_BUCKET)) + 0.5) / PER_DOUBLING).exp2()
}

/// The quantile `q` (0 to 1) of counted buckets, given in ascending order of bucket; `None` when nothing was counted.
pub fn quantile(buckets: &[(i16, i64)], q: f64) -> Option<f64> {
    let total: i64 = buckets.iter().map(|(_, n)| n).sum();
    if total <= 0 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    let rank = ((total as f64 * q.clamp(0.0, 1.0)).ceil() as i64).max(1);
    let mut seen = 0;
    for &(bucket, n) in buckets {
        seen += n;
        if seen >= rank {
            return Some(middle(bucket));
        }
    }
    buckets.last().map(|&(bucket, _)| middle(bucket))
}
