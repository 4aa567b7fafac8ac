//! What the seed decides.

use halyard_domain::Entropy;

/// The dice of one run.
pub struct Dice(Entropy);

impl Dice {
    /// The same number gives the same throws.
    pub fn new(seed: u64) -> Self {
        Self(Entropy::seeded(seed ^ 0x5349_4d55_4c41_5445))
    }

    /// 0 to `n - 1`.
    pub fn below(&self, n: usize) -> usize {
        usize::try_from(u64::from_be_bytes(self.0.bytes()) % n.max(1) as u64).unwrap_or_default()
    }

    /// True so many times of a thousand.
    pub fn chance(&self, of_a_thousand: usize) -> bool {
        self.below(1_000) < of_a_thousand
    }

    /// One of these.
    pub fn one<T: Copy>(&self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// One of these places, by weight.
    pub fn weighted(&self, weights: &[usize]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (place, weight) in weights.iter().enumerate() {
            if left < *weight {
                return place;
            }
            left -= weight;
        }
        0
    }
}
