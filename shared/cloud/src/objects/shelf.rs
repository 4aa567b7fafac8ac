//! Where the twin's objects stand, by `<bucket>/<key>`: in files, or in memory. Blocks for as long as a file takes.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use bytes::Bytes;

/// How the names of files begin that are not whole yet. No bucket's name begins so.
const NEW: &str = ".new-";

/// An object.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub body: Bytes,
    pub content_type: String,
}

/// Objects, and when each was put.
pub(super) enum Shelf {
    /// In memory.
    Memory(Mutex<BTreeMap<String, (Object, SystemTime)>>),
    /// Each in a file, under a line with its media type. A file's last change is when the object was put, by the twin's clock.
    Files(Files),
}

pub(super) struct Files {
    directory: PathBuf,
    /// A directory that was just made must not be taken for one that is left over.
    moves: Mutex<()>,
    next: AtomicU64,
}

impl Shelf {
    pub fn in_memory() -> Self {
        Self::Memory(Mutex::default())
    }

    /// Nothing is made before the first object is. What a killed process was writing goes.
    pub fn open(directory: PathBuf) -> io::Result<Self> {
        for entry in entries(&directory)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(NEW) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self::Files(Files { directory, moves: Mutex::default(), next: AtomicU64::new(0) }))
    }

    pub fn put(&self, name: &str, object: Object, at: SystemTime) -> io::Result<()> {
        match self {
            Self::Memory(objects) => {
                lock(objects).insert(name.to_owned(), (object, at));
                Ok(())
            }
            Self::Files(files) => files.put(name, &object, at),
        }
    }

    pub fn get(&self, name: &str) -> io::Result<Option<Object>> {
        match self {
            Self::Memory(objects) => Ok(lock(objects).get(name).map(|(object, _)| object.clone())),
            Self::Files(files) => match fs::read(files.directory.join(name)) {
                Ok(text) => parsed(&text.into()).map(Some),
                Err(error) if is_nowhere(&error) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Deletes what was put into a bucket before then.
    pub fn forget(&self, bucket: &str, before: SystemTime) -> io::Result<()> {
        match self {
            Self::Memory(objects) => {
                lock(objects).retain(|name, (_, at)| name.split('/').next() != Some(bucket) || *at >= before);
                Ok(())
            }
            Self::Files(files) => {
                let _nobody_moves = lock(&files.moves);
                forget(&files.directory.join(bucket), before).map(drop)
            }
        }
    }
}

impl Files {
    /// Under another name first: nobody sees a part, and a disk that is full leaves what was there.
    fn put(&self, name: &str, object: &Object, at: SystemTime) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let new = self.directory.join(format!("{NEW}{}", self.next.fetch_add(1, Ordering::Relaxed)));
        let put = write(&new, object, at).and_then(|()| self.place(&new, &self.directory.join(name)));
        if put.is_err() {
            let _ = fs::remove_file(&new);
        }
        put
    }

    fn place(&self, new: &Path, path: &Path) -> io::Result<()> {
        let _nobody_tidies = lock(&self.moves);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::rename(new, path)
    }
}

fn write(path: &Path, object: &Object, at: SystemTime) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(object.content_type.as_bytes())?;
    file.write_all(b"\n")?;
    file.write_all(&object.body)?;
    file.set_modified(at)?;
    file.sync_all()
}

fn parsed(text: &Bytes) -> io::Result<Object> {
    let end = text.iter().position(|byte| *byte == b'\n').ok_or(ErrorKind::InvalidData)?;
    let content_type = String::from_utf8_lossy(&text[..end]).into_owned();
    Ok(Object { body: text.slice(end + 1..), content_type })
}

/// Answers whether the directory is empty now.
fn forget(directory: &Path, before: SystemTime) -> io::Result<bool> {
    let mut empty = true;
    for entry in entries(directory)? {
        let entry = entry?;
        let path = entry.path();
        empty &= if entry.file_type()?.is_dir() {
            forget(&path, before)? && fs::remove_dir(&path).is_ok()
        } else if entry.metadata()?.modified()? < before {
            fs::remove_file(&path)?;
            true
        } else {
            false
        };
    }
    Ok(empty)
}

/// What is in a directory; nothing is in one that is not there.
fn entries(directory: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    match fs::read_dir(directory) {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(error) if is_nowhere(&error) => Ok(None.into_iter().flatten()),
        Err(error) => Err(error),
    }
}

/// There is no file of this name; there may be one, or a directory, on the way.
fn is_nowhere(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
