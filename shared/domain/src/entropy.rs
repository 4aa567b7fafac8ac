//! Randomness as a dependency: one seeded generator per environment, so that a test run can be replayed.

use std::sync::Mutex;

use chrono::{DateTime, Utc};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use uuid::Uuid;

/// A cryptographically strong generator (`ChaCha20`), seeded from the operating system in production and from a
/// number in tests.
#[derive(Debug)]
pub struct Entropy(Mutex<ChaCha20Rng>);

/// The least of the [ULIDs](Entropy::ulid) that are made in this millisecond. Times before 1970 count as its first one, times after
/// the year 10889 as the last one that 48 bits hold.
pub fn least_ulid(at: DateTime<Utc>) -> Uuid {
    let millis = u128::from(at.timestamp_millis().max(0).unsigned_abs());
    Uuid::from_u128(millis.min((1 << 48) - 1) << 80)
}

impl Entropy {
    /// Seeded from the operating system.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn from_os() -> std::io::Result<Self> {
        let mut seed = [0_u8; 32];
        std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut seed)?;
        Ok(Self(Mutex::new(ChaCha20Rng::from_seed(seed))))
    }

    /// Seeded with a number: the same number gives the same sequence. For tests.
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(ChaCha20Rng::seed_from_u64(seed)))
    }

    /// Fills `buffer` with random bytes.
    pub fn fill(&self, buffer: &mut [u8]) {
        self.lock().fill_bytes(buffer);
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// A number in `0.0..1.0`, for jitter.
    pub fn unit(&self) -> f64 {
        // 53 bits are all that a f64 in 0..1 can carry.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let n = (self.lock().next_u64() >> 11) as f64;
        n / 9_007_199_254_740_992.0
    }

    /// A [ULID](https://github.com/ulid/spec) as a UUID: 48 bits of milliseconds, then 80 random bits, so that ids
    /// made later sort later and land at the end of a B-tree.
    pub fn ulid(&self, now: DateTime<Utc>) -> Uuid {
        let mut random = [0_u8; 16];
        self.fill(&mut random[6..]);
        Uuid::from_u128(least_ulid(now).as_u128() | u128::from_be_bytes(random))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ChaCha20Rng> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
