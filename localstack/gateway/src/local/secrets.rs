//! Keys and secrets of this installation: made at the first start, kept in one file that only its owner may read.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use halyard_auth::{encoding::to_base64url, keys};
use halyard_domain::Entropy;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::LocalError;

/// The local administrator's password unless `ADMIN_PASSWORD` says otherwise; nowhere else is it accepted.
pub const ADMIN_PASSWORD: &str = "admin123";

/// What is kept.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secrets {
    /// The private key that signs tokens, a JWK.
    signing_key: Value,
    /// The public keys that verify them, a JWK set.
    key_set: Value,
    /// The secret of the accounts. Empty in a file that is older than it.
    #[serde(default)]
    account_key: String,
}

impl Secrets {
    /// Reads the file, or makes it.
    ///
    /// # Errors
    /// When it cannot be read, written or understood.
    pub fn load_or_make(path: &Path, entropy: &Entropy) -> Result<Self, LocalError> {
        let damaged = |why: String| LocalError::Damaged { path: path.into(), why };
        match fs::read(path) {
            Ok(text) => {
                let mut kept: Self = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
                if kept.account_key.is_empty() {
                    kept.account_key = account_key(entropy);
                    kept.write(path).map_err(LocalError::io("write", path))?;
                }
                Ok(kept)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let made = Self::make(entropy).map_err(damaged)?;
                made.write(path).map_err(LocalError::io("write", path))?;
                Ok(made)
            }
            Err(error) => Err(LocalError::io("read", path)(error)),
        }
    }

    /// New ones.
    ///
    /// # Errors
    /// When the generator of keys refuses.
    pub fn make(entropy: &Entropy) -> Result<Self, String> {
        let kid = format!("local-{:016x}", u64::from_be_bytes(entropy.bytes()));
        let (signing_key, public) = keys::generate(&kid, entropy.bytes()).map_err(|e| e.to_string())?;
        Ok(Self { signing_key, key_set: json!({ "keys": [public] }), account_key: account_key(entropy) })
    }

    /// The private key as `TOKEN_SIGNING_KEY` takes it.
    pub fn signing_key(&self) -> String {
        self.signing_key.to_string()
    }

    /// The secret of the accounts as `ACCOUNT_KEY` takes it.
    pub fn account_key(&self) -> &str {
        &self.account_key
    }

    /// The public keys as `TOKEN_KEY_SET` takes them.
    pub fn key_set(&self) -> String {
        self.key_set.to_string()
    }

    /// Whole or not at all, and never readable by others, not even for a moment.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let new = path.with_extension("new");
        let _ = fs::remove_file(&new);
        let mut file = File::options().create_new(true).write(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(new, path)
    }
}

/// A new secret of the accounts: 256 random bits.
pub fn account_key(entropy: &Entropy) -> String {
    to_base64url(entropy.bytes::<32>())
}
