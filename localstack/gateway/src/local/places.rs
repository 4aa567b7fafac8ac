//! Where the project's own files are: under the working directory, or where the program was built.

use std::path::{Path, PathBuf};

use super::error::LocalError;

/// The repository that this program was built from.
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Finds a file by its path in the repository.
///
/// # Errors
/// When it is in neither place.
pub fn find(path: &str) -> Result<PathBuf, LocalError> {
    let candidates = [PathBuf::from(path), Path::new(REPOSITORY).join(path)];
    candidates.into_iter().find(|p| p.is_file()).ok_or_else(|| LocalError::Io {
        doing: "find",
        path: path.into(),
        source: std::io::Error::other("run halyard from the repository"),
    })
}
