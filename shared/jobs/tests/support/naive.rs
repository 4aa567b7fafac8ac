//! What a column holds, computed without any thought for speed or memory.

use std::collections::HashMap;

pub struct Described {
    pub count: u64,
    pub nulls: u64,
    pub distinct: u64,
    pub top: Vec<(String, u64)>,
    /// Only when every value is a number.
    pub numbers: Option<Numbers>,
}

pub struct Numbers {
    pub mean: f64,
    pub stddev: f64,
    pub min: f64,
    pub max: f64,
    pub p25: f64,
    pub p50: f64,
    pub p95: f64,
}

pub fn describe<'a>(values: impl Iterator<Item = &'a str>) -> Described {
    let (nulls, present): (Vec<&str>, Vec<&str>) =
        values.partition(|v| ["", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None"].contains(v));
    let mut counts = HashMap::<&str, u64>::new();
    for v in &present {
        *counts.entry(v).or_default() += 1;
    }
    let distinct = counts.len() as u64;
    let mut top: Vec<(String, u64)> = counts.into_iter().map(|(v, n)| (v.to_owned(), n)).collect();
    top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    top.truncate(5);
    let parsed: Option<Vec<f64>> = present.iter().map(|v| number(v)).collect();
    let numbers = parsed.filter(|all| !all.is_empty()).map(statistics);
    Described { count: present.len() as u64, nulls: nulls.len() as u64, distinct, top, numbers }
}

fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    if leading_zero || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    text.parse().ok().filter(|n: &f64| n.is_finite())
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a test")]
fn statistics(mut all: Vec<f64>) -> Numbers {
    let n = all.len() as f64;
    let mean = all.iter().sum::<f64>() / n;
    let stddev = (all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    all.sort_by(f64::total_cmp);
    let at = |q: f64| {
        let place = q * (n - 1.0);
        let (low, high) = (all[place.floor() as usize], all[place.ceil() as usize]);
        low + (high - low) * (place - place.floor())
    };
    Numbers { mean, stddev, min: all[0], max: all[all.len() - 1], p25: at(0.25), p50: at(0.5), p95: at(0.95) }
}
