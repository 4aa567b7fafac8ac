//! Distinct values and the most frequent ones, in bounded memory.
//!
//! Exact while a column has few different values. Beyond that, the number comes from `HyperLogLog` (Flajolet et al.,
//! 2007; 2^14 registers) and the frequent values from Misra and Gries' algorithm (1982), whose counts are too low by
//! at most `error`.

use std::collections::HashMap;

use super::output::CountedValue;

/// Up to here everything is exact.
const MAX_VALUES: usize = 10_000;
/// Likewise, of the values' own bytes.
const MAX_BYTES: usize = 1024 * 1024;
/// A shown value is cut after so many characters.
pub const SHOWN: usize = 200;

#[derive(Debug, Default)]
pub struct Distinct {
    counts: HashMap<Box<str>, u64>,
    bytes: usize,
    sketch: Option<HyperLogLog>,
    error: u64,
}

impl Distinct {
    pub fn add(&mut self, value: &str) {
        if let Some(sketch) = &mut self.sketch {
            sketch.add(value);
        }
        if let Some(count) = self.counts.get_mut(value) {
            *count += 1;
        } else if self.counts.len() < MAX_VALUES && self.bytes + value.len() <= MAX_BYTES {
            self.bytes += value.len();
            self.counts.insert(value.into(), 1);
        } else {
            self.overflow(value);
        }
    }

    fn overflow(&mut self, value: &str) {
        if self.sketch.is_none() {
            let mut sketch = HyperLogLog::default();
            self.counts.keys().for_each(|seen| sketch.add(seen));
            sketch.add(value);
            self.sketch = Some(sketch);
        }
        // Misra-Gries: one of everything is thrown away, the newcomer included.
        self.error += 1;
        let bytes = &mut self.bytes;
        self.counts.retain(|seen, count| {
            *count -= 1;
            if *count == 0 {
                *bytes -= seen.len();
            }
            *count > 0
        });
    }

    /// How many, and whether that was counted.
    pub fn count(&self) -> (u64, bool) {
        self.sketch.as_ref().map_or((self.counts.len() as u64, true), |sketch| (sketch.estimate(), false))
    }

    /// The most frequent values; equals in the order of their text. And by how much the counts may be too low.
    pub fn top(self, n: usize) -> (Vec<CountedValue>, u64) {
        let mut all: Vec<_> = self.counts.into_iter().collect();
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.truncate(n);
        (all.into_iter().map(|(value, count)| CountedValue { value: shown(&value), count }).collect(), self.error)
    }
}

/// The text, cut after [`SHOWN`] characters.
pub fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

const INDEX_BITS: u32 = 14;
const REGISTERS: usize = 1 << INDEX_BITS;

#[derive(Debug)]
struct HyperLogLog(Box<[u8]>);

impl Default for HyperLogLog {
    fn default() -> Self {
        Self(vec![0; REGISTERS].into_boxed_slice())
    }
}

impl HyperLogLog {
    fn add(&mut self, value: &str) {
        let hash = hash(value);
        #[expect(clippy::cast_possible_truncation, reason = "14 bits; at most 51 zeros")]
        let (index, rank) = (
            (hash >> (64 - INDEX_BITS)) as usize,
            ((hash << INDEX_BITS) | (1 << (INDEX_BITS - 1))).leading_zeros() as u8 + 1,
        );
        self.0[index] = self.0[index].max(rank);
    }

    #[expect(
        clippy::naive_bytecount,
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate"
    )]
    fn estimate(&self) -> u64 {
        let m = REGISTERS as f64;
        let sum: f64 = self.0.iter().map(|&rank| (-f64::from(rank)).exp2()).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let empty = self.0.iter().filter(|&&rank| rank == 0).count();
        // With many registers still empty, counting those is the better estimate.
        let estimate = if raw <= 2.5 * m && empty > 0 { m * (m / empty as f64).ln() } else { raw };
        estimate.round() as u64
    }
}

/// FNV-1a with the finaliser of splitmix64: stable across runs and machines, and every bit depends on every byte.
fn hash(value: &str) -> u64 {
    let fnv = value.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
