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

    /// Makes one more key, as standby; answers its name.
    ///
    /// # Errors
    /// When the generator of keys refuses, or what is there is no set of keys.
    pub fn add(&mut self, entropy: &Entropy) -> Result<String, String> {
        add_key(&mut self.signing_key, &mut self.key_set, entropy)
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
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        replace(path, &serde_json::to_vec_pretty(self)?)
    }
}

/// A new secret of the accounts: 256 random bits.
pub fn account_key(entropy: &Entropy) -> String {
    to_base64url(entropy.bytes::<32>())
}

/// Adds a new key to a private JWK, which becomes a set, and to a public set, as standby; answers its name.
///
/// # Errors
/// When the generator of keys refuses, or what is there is no set of keys.
pub fn add_key(signing_key: &mut Value, key_set: &mut Value, entropy: &Entropy) -> Result<String, String> {
    let kid = format!("local-{:016x}", u64::from_be_bytes(entropy.bytes()));
    let (private, mut public) = keys::generate(&kid, entropy.bytes()).map_err(|e| e.to_string())?;
    public["state"] = json!("standby");
    if signing_key.get("keys").is_none() {
        *signing_key = json!({"keys": [signing_key.take()]});
    }
    for (set, key) in [(signing_key, private), (key_set, public)] {
        let keys = set.get_mut("keys").and_then(Value::as_array_mut);
        keys.ok_or_else(|| "it has no member `keys`".to_owned())?.push(key);
    }
    Ok(kid)
}

/// Writes a file that only its owner may read, whole or not at all.
///
/// # Errors
/// When the disk refuses.
pub fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, path)
}
