//! As whom the servers run. PostgreSQL refuses to run as root; started by root it runs as `postgres`, and so does
//! Redis: neither needs more.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, lchown},
    path::Path,
};

use nix::unistd::{Gid, Uid, User, geteuid};

use super::error::LocalError;

/// The user that the servers run as.
#[derive(Debug, Clone)]
pub struct Owner {
    /// User id.
    pub uid: Uid,
    /// Group id.
    pub gid: Gid,
    /// Whether that is somebody else than we are.
    pub other: bool,
}

impl Owner {
    /// Ourselves, or `postgres` (else `nobody`) when we are root.
    ///
    /// # Errors
    /// When root finds neither.
    pub fn find() -> Result<Self, LocalError> {
        if !geteuid().is_root() {
            return Ok(Self { uid: geteuid(), gid: nix::unistd::getegid(), other: false });
        }
        let user = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
        let user = user.ok_or(LocalError::Missing {
            what: "the user `postgres`, which PostgreSQL runs as when root starts it,",
            command: "useradd --system postgres".to_owned(),
        })?;
        Ok(Self { uid: user.uid, gid: user.gid, other: true })
    }

    /// Makes a directory that only the owner may enter, and gives it to them.
    ///
    /// # Errors
    /// When it cannot be made, or belongs to somebody who is neither we nor the owner.
    pub fn private_dir(&self, path: &Path) -> Result<(), LocalError> {
        if let Err(source) = fs::DirBuilder::new().recursive(true).mode(0o700).create(path) {
            return Err(LocalError::Io { doing: "make the directory", path: path.into(), source });
        }
        let io = || LocalError::io("use the directory", path);
        // Not through a link: in a directory that others may write to, it could lead anywhere.
        let found = fs::symlink_metadata(path).map_err(io())?;
        if !found.is_dir() {
            let source = std::io::Error::other("it is not a directory");
            return Err(LocalError::Io { doing: "use the directory", path: path.into(), source });
        }
        let holder = Uid::from_raw(found.uid());
        if holder != self.uid && holder != geteuid() {
            let source = std::io::Error::other(format!("it belongs to another user ({holder})"));
            return Err(LocalError::Io { doing: "use the directory", path: path.into(), source });
        }
        if self.other && holder != self.uid {
            lchown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw())).map_err(io())?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(io())
    }

    /// Can the owner get as far as `path`? Root's home, for one, is closed to everybody else.
    pub fn can_reach(&self, path: &Path) -> bool {
        !self.other
            || path.ancestors().skip(1).all(|dir| {
                fs::metadata(dir).is_ok_and(|found| found.mode() & 0o001 != 0 || found.uid() == self.uid.as_raw())
            })
    }
}
