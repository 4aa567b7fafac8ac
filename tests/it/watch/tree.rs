//! A copy of the repository that may be edited, with what is compiled already.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use halyard_tests::routes::repository;

/// What is not copied: made by tools, or shared.
const LEFT_OUT: [&str; 4] = ["target", ".local", ".git", ".venv"];

/// A copy beside the compiled crates, removed at the end.
pub struct Tree(PathBuf);

impl Tree {
    /// Copies the repository as it is, committed or not, and links the compiled crates: cargo finds everything fresh.
    pub fn copy() -> Self {
        let own = env::current_exe().expect("the path of this program");
        // target/debug/deps/it-...
        let profile = own.ancestors().nth(2).expect("the directory of the profile").to_owned();
        let target = profile.parent().expect("the target directory").to_owned();
        let this = Self(target.join("tmp").join(format!("tree-{}", std::process::id())));
        let _ = fs::remove_dir_all(&this.0);
        fs::create_dir_all(this.repository()).expect("a directory");
        for entry in fs::read_dir(repository(".")).expect("the repository").flatten() {
            let name = entry.file_name();
            if entry.path() != target && !LEFT_OUT.iter().any(|left| name == *left) {
                copy(&["-a"], &entry.path(), &this.repository());
            }
        }
        // Tools from PyPI are not installed again.
        let tools = repository(".local/venv").canonicalize().expect("the tools that `scripts/venv` installs");
        fs::create_dir(this.repository().join(".local")).expect("a directory");
        std::os::unix::fs::symlink(tools, this.repository().join(".local/venv")).expect("a link");

        let compiled = this.target().join(profile.file_name().expect("the profile's name"));
        fs::create_dir_all(&compiled).expect("a directory");
        for links in ["deps", "build"] {
            copy(&["-al"], &profile.join(links), &compiled);
        }
        // Cargo and rustc write these in place, where a link would reach the originals.
        copy(&["-a"], &profile.join(".fingerprint"), &compiled);
        for entry in fs::read_dir(compiled.join("deps")).expect("the crates").flatten() {
            if entry.path().extension().is_some_and(|end| end == "d") {
                let _ = fs::remove_file(entry.path());
            }
        }
        this
    }

    /// Where the copy is.
    pub fn repository(&self) -> PathBuf {
        self.0.join("repository")
    }

    /// Its target directory.
    pub fn target(&self) -> PathBuf {
        self.0.join("target")
    }

    /// Replaces the one place of a file that reads `old`.
    pub fn replace(&self, file: &str, old: &str, new: &str) {
        let path = self.repository().join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(text.matches(old).count(), 1, "{file} says once: {old}");
        fs::write(&path, text.replace(old, new)).unwrap_or_else(|e| panic!("{file}: {e}"));
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy(how: &[&str], from: &Path, to: &Path) {
    let done = Command::new("cp").args(how).arg(from).arg(to).output().expect("cp runs");
    assert!(done.status.success(), "cp: {}", String::from_utf8_lossy(&done.stderr));
}
