//! Where everything is kept.

use std::{
    fs,
    hash::{Hash as _, Hasher as _},
    path::{Path, PathBuf},
};

use super::{error::LocalError, owner::Owner};

/// A socket's path may have 107 bytes; PostgreSQL's is `/.s.PGSQL.5432` in its directory, its lock 5 more.
const LONGEST_SOCKET_DIR: usize = 85;

/// The data directory (`.local` unless told otherwise) and what is in it.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The directory itself, absolute.
    pub data_dir: PathBuf,
    /// The home of PostgreSQL's cluster.
    pub postgres: PathBuf,
    /// Sockets and pid files of the servers.
    pub sockets: PathBuf,
    /// As whom the servers run.
    pub owner: Owner,
}

impl Layout {
    /// Makes what is missing.
    ///
    /// # Errors
    /// When a directory cannot be made or used.
    pub fn prepare(data_dir: &Path) -> Result<Self, LocalError> {
        fs::create_dir_all(data_dir).map_err(LocalError::io("make the directory", data_dir))?;
        let data_dir = data_dir.canonicalize().map_err(LocalError::io("find the directory", data_dir))?;
        let owner = Owner::find()?;
        let log = data_dir.join("log");
        fs::create_dir_all(&log).map_err(LocalError::io("make the directory", &log))?;
        let sockets = socket_dir(&data_dir, &owner);
        owner.private_dir(&sockets)?;
        let postgres = cluster_home(&data_dir, &owner)?;
        Ok(Self { data_dir, postgres, sockets, owner })
    }

    /// The layout of a directory that may not have been prepared.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn existing(data_dir: &Path) -> Result<Option<Self>, LocalError> {
        if data_dir.join("log").is_dir() { Self::prepare(data_dir).map(Some) } else { Ok(None) }
    }

    /// Where the logs are.
    pub fn logs(&self) -> PathBuf {
        self.data_dir.join("log")
    }

    /// A server's log.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// The lock that says whether somebody lives here.
    pub fn lock(&self) -> PathBuf {
        self.data_dir.join("lock")
    }

    /// Who runs, where: written while it does.
    pub fn instance(&self) -> PathBuf {
        self.data_dir.join("instance.json")
    }

    /// Keys and secrets.
    pub fn secrets(&self) -> PathBuf {
        self.data_dir.join("secrets.json")
    }

    /// The tables' twin.
    pub fn tables(&self) -> PathBuf {
        self.data_dir.join("tables.redb")
    }

    /// The objects' twin.
    pub fn objects(&self) -> PathBuf {
        self.data_dir.join("objects")
    }

    /// The twin of the mail service.
    pub fn mails(&self) -> PathBuf {
        self.data_dir.join("mails.redb")
    }
}

/// PostgreSQL run by root as another user must be able to walk to its cluster. Where it cannot (`/root` is closed), the
/// cluster lives under `/var/lib` and a link stands in the data directory.
fn cluster_home(data_dir: &Path, owner: &Owner) -> Result<PathBuf, LocalError> {
    let near = data_dir.join("postgres");
    if let Ok(found) = near.canonicalize() {
        return Ok(found);
    }
    if owner.can_reach(&near) {
        return Ok(near);
    }
    let elsewhere = Path::new("/var/lib").join(format!("halyard-{}-{}", hash(data_dir), std::process::id()));
    fs::create_dir_all(&elsewhere).map_err(LocalError::io("make the directory", &elsewhere))?;
    let home = elsewhere.join("postgres");
    owner.private_dir(&home)?;
    // A link whose target has gone is in the way.
    let _ = fs::remove_file(&near);
    std::os::unix::fs::symlink(&home, &near).map_err(LocalError::io("link", &near))?;
    Ok(home)
}

fn socket_dir(data_dir: &Path, owner: &Owner) -> PathBuf {
    let near = data_dir.join("run");
    if near.as_os_str().len() <= LONGEST_SOCKET_DIR && owner.can_reach(&near) {
        return near;
    }
    Path::new("/tmp").join(format!("halyard-{}", hash(data_dir)))
}

fn hash(path: &Path) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    path.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
