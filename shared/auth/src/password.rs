//! Passwords: Argon2id (RFC 9106) in PHC strings, off the async threads, few at a time.

use std::{sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        Error as HashError,
        phc::{Output, ParamsString, PasswordHash, Salt},
    },
};
use halyard_domain::Entropy;
use tokio::sync::{AcquireError, Semaphore};

use crate::hashing_threads::{Memory, Turn};

/// How long a request waits for its turn before it is told that the service is busy.
const PATIENCE: Duration = Duration::from_secs(5);
/// A stored hash that asks for more memory than this is not computed: 256 MiB.
const MAX_MEMORY_KIB: u32 = 256 * 1024;

/// Bytes of a hash.
const LENGTH: usize = 32;

/// The cost of a hash. OWASP's Password Storage Cheat Sheet asks for at least 19,456 KiB, 2 iterations, 1 lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashingCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

/// Why a password could not be hashed or checked. A wrong password is not an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// The parameters make no sense.
    #[error("the password hashing parameters are not valid: {0}")]
    Parameters(String),
    /// Too many at once; worth another try in a moment.
    #[error("too many passwords are being checked")]
    Busy,
    /// The stored text is no Argon2 hash that can be checked.
    #[error("the stored password hash is not valid")]
    Stored,
}

/// Hashes and checks passwords. At most `concurrency` at once, and at most one for each processor over all hashers of the
/// process, so that the memory in use has a bound: the lesser of the two times [`HashingCost::memory_kib`].
#[derive(Debug)]
pub struct Hasher {
    params: Params,
    permits: Semaphore,
    /// What an unknown user's password is checked against: it fails after the same time as a real one.
    decoy: Arc<str>,
}

impl Hasher {
    /// A hasher of that cost.
    ///
    /// # Errors
    /// When the cost is outside what Argon2 allows.
    pub fn new(cost: HashingCost, concurrency: usize) -> Result<Self, PasswordError> {
        let bad = |e: &dyn std::fmt::Display| PasswordError::Parameters(e.to_string());
        if cost.memory_kib > MAX_MEMORY_KIB {
            return Err(PasswordError::Parameters(format!("more than {MAX_MEMORY_KIB} KiB of memory")));
        }
        let params =
            Params::new(cost.memory_kib, cost.iterations, cost.parallelism, Some(LENGTH)).map_err(|e| bad(&e))?;
        let decoy = decoy(&params).map_err(|e| bad(&e))?;
        Ok(Self { params, permits: Semaphore::new(concurrency.max(1)), decoy: decoy.into() })
    }

    /// Hashes a password with a new random salt of 128 bits. Answers with a PHC string.
    ///
    /// # Errors
    /// [`PasswordError::Busy`] after 5 s of waiting.
    pub async fn hash(&self, password: &str, entropy: &Entropy) -> Result<String, PasswordError> {
        let (salt, password, argon2) = (entropy.bytes::<16>(), password.to_owned(), self.argon2());
        self.compute(move |memory| {
            let bad = |e: &dyn std::fmt::Display| PasswordError::Parameters(e.to_string());
            let output = run(&argon2, password.as_bytes(), &salt, LENGTH, memory).map_err(|e| bad(&e))?;
            Ok(phc(argon2.params(), &salt, output).map_err(|e| bad(&e))?.to_string())
        })
        .await
    }

    /// Is this the password of `stored`? Takes as long without a `stored` hash (an unknown user) as with one.
    ///
    /// # Errors
    /// [`PasswordError::Busy`] after 5 s of waiting; [`PasswordError::Stored`] when `stored` is no hash.
    pub async fn verify(&self, password: &str, stored: Option<&str>) -> Result<bool, PasswordError> {
        let known = stored.is_some();
        let stored: Arc<str> = stored.map_or_else(|| Arc::clone(&self.decoy), Arc::from);
        let password = password.to_owned();
        let matches = self.compute(move |memory| check(&password, &stored, memory)).await?;
        Ok(matches && known)
    }

    /// Was the hash made at another cost, so that it should be made anew while the password is at hand?
    pub fn needs_rehash(&self, stored: &str) -> bool {
        let Ok(hash) = PasswordHash::new(stored) else { return true };
        let Ok(params) = Params::try_from(&hash) else { return true };
        let cost = |p: &Params| (p.m_cost(), p.t_cost(), p.p_cost(), p.output_len());
        hash.algorithm != argon2::ARGON2ID_IDENT
            || hash.version != Some(Version::V0x13.into())
            || cost(&params) != cost(&self.params)
    }

    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
    }

    /// Runs `work` on a thread for it: Argon2 takes tens of milliseconds.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turns = async { Ok::<_, AcquireError>((self.permits.acquire().await?, Turn::wait().await?)) };
        let turns = tokio::time::timeout(PATIENCE, turns).await;
        let (_own, turn) = turns.ok().and_then(Result::ok).ok_or(PasswordError::Busy)?;
        turn.run(work).await.unwrap_or(Err(PasswordError::Busy))
    }
}

/// Is this the password of `stored`, whose own parameters count?
fn check(password: &str, stored: &str, memory: &mut Memory) -> Result<bool, PasswordError> {
    let hash = PasswordHash::new(stored).map_err(|_| PasswordError::Stored)?;
    let params = Params::try_from(&hash).map_err(|_| PasswordError::Stored)?;
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return Err(PasswordError::Stored) };
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(|_| PasswordError::Stored)?;
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from).map_err(|_| PasswordError::Stored)?;
    if params.m_cost() > MAX_MEMORY_KIB {
        return Err(PasswordError::Stored);
    }
    let argon2 = Argon2::new(algorithm, version, params);
    let output = run(&argon2, password.as_bytes(), salt, expected.len(), memory).map_err(|_| PasswordError::Stored)?;
    // In constant time.
    Ok(output == *expected)
}

/// Computes a hash of `length` bytes in `memory`, which grows as it must and is then used again.
fn run(
    argon2: &Argon2<'_>,
    password: &[u8],
    salt: &[u8],
    length: usize,
    memory: &mut Memory,
) -> Result<Output, HashError> {
    let blocks = argon2.params().block_count();
    if memory.len() < blocks {
        memory.resize(blocks, Block::default());
    }
    let mut buffer = [0; Output::MAX_LENGTH];
    let output = buffer.get_mut(..length).ok_or(HashError::OutputSize)?;
    argon2.hash_password_into_with_memory(password, salt, output, &mut memory[..blocks])?;
    Ok(Output::new(output)?)
}

/// A hash of the present cost that no password has.
fn decoy(params: &Params) -> Result<String, HashError> {
    Ok(phc(params, &[0x5a; 16], Output::new(&[0; LENGTH])?)?.to_string())
}

fn phc(params: &Params, salt: &[u8], output: Output) -> Result<PasswordHash, HashError> {
    Ok(PasswordHash {
        algorithm: argon2::ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params)?,
        salt: Some(Salt::new(salt)?),
        hash: Some(output),
    })
}
