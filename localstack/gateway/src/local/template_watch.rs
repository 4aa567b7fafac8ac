//! Whether the template has been edited while it is played.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// A file, and when it was last changed.
#[derive(Debug)]
pub struct TemplateWatch {
    path: PathBuf,
    seen: Option<SystemTime>,
}

impl TemplateWatch {
    /// From now on.
    pub fn new(path: PathBuf) -> Self {
        let seen = modified(&path);
        Self { path, seen }
    }

    /// Whether it has changed since this was last asked. A file that is gone for a moment has not: editors do that.
    pub fn changed(&mut self) -> bool {
        let now = modified(&self.path);
        let changed = now.is_some() && now != self.seen;
        if changed {
            self.seen = now;
        }
        changed
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|found| found.modified()).ok()
}
