//! At most one instance on a data directory. The kernel drops the lock with the process, however it ends, so a stale
//! file never stands in the way.

use std::{
    fs::{self, File},
    path::Path,
};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::{error::LocalError, layout::Layout};

/// The lock, held.
#[derive(Debug)]
pub struct InstanceLock(#[expect(dead_code, reason = "held, not read")] Flock<File>);

/// Who holds the lock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Instance {
    /// Process id.
    pub pid: i32,
    /// Base URL, for an instance that answers HTTP.
    pub url: Option<String>,
}

impl InstanceLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`LocalError::AlreadyRunning`].
    pub fn take(layout: &Layout) -> Result<Self, LocalError> {
        match Self::try_take(&layout.lock())? {
            Some(lock) => Ok(lock),
            None => Err(LocalError::AlreadyRunning {
                data_dir: layout.data_dir.clone(),
                at: Instance::read(layout).and_then(|instance| instance.url),
            }),
        }
    }

    /// Takes the lock if nobody has it.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn try_take(path: &Path) -> Result<Option<Self>, LocalError> {
        let io = LocalError::io("open the lock file", path);
        let file = File::options().create(true).truncate(false).write(true).open(path).map_err(io)?;
        Ok(Flock::lock(file, FlockArg::LockExclusiveNonblock).ok().map(Self))
    }
}

impl Instance {
    /// What the holder of the lock has written.
    pub fn read(layout: &Layout) -> Option<Self> {
        serde_json::from_slice(&fs::read(layout.instance()).ok()?).ok()
    }

    /// Writes it whole or not at all.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub fn write(&self, layout: &Layout) -> Result<(), LocalError> {
        let path = layout.instance();
        let text = serde_json::to_vec(self).expect("two plain fields are JSON");
        let new = path.with_extension("new");
        fs::write(&new, text).and_then(|()| fs::rename(&new, &path)).map_err(LocalError::io("write", path))
    }

    /// Removes it.
    pub fn remove(layout: &Layout) {
        let _ = fs::remove_file(layout.instance());
    }
}
