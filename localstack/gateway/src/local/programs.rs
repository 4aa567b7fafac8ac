//! Finds the servers' programs: on the path, and where distributions hide them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use halyard_config::Vars;

use super::error::LocalError;

/// The oldest PostgreSQL whose SQL we use.
pub const POSTGRES_MAJOR: u32 = 15;
/// The oldest Redis whose commands we use.
pub const REDIS_MAJOR: u32 = 7;

const POSTGRES: &str = "PostgreSQL 15 or later";
const REDIS: &str = "Redis 7 or later";

/// Places outside the path, newest version first.
const POSTGRES_HOMES: [&str; 4] = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt", "/usr"];

/// The directory with `postgres` and `initdb`.
///
/// # Errors
/// When there is none, or only an older one.
pub fn postgres_bin() -> Result<PathBuf, LocalError> {
    let mut candidates = search_path();
    for home in POSTGRES_HOMES {
        let versions = fs::read_dir(home).into_iter().flatten().flatten();
        candidates.extend(versions.map(|v| v.path().join("bin")).filter(|bin| bin.join("initdb").is_file()));
    }
    let found = candidates.into_iter().filter(|bin| bin.join("initdb").is_file());
    let best = found.filter_map(|bin| Some((version_of(&bin.join("postgres"))?, bin))).max();
    match best {
        Some((major, bin)) if major >= POSTGRES_MAJOR => Ok(bin),
        Some((major, _)) => Err(LocalError::TooOld {
            what: POSTGRES,
            found: format!("version {major}"),
            command: install("postgresql"),
        }),
        None => Err(LocalError::Missing { what: POSTGRES, command: install("postgresql") }),
    }
}

/// The program `redis-server`.
///
/// # Errors
/// When there is none, or only an older one.
pub fn redis_server() -> Result<PathBuf, LocalError> {
    let program = search_path().into_iter().map(|dir| dir.join("redis-server")).find(|p| p.is_file());
    let program = program.ok_or_else(|| LocalError::Missing { what: REDIS, command: install("redis-server") })?;
    match version_of(&program) {
        Some(major) if major >= REDIS_MAJOR => Ok(program),
        found => {
            let found = found.map_or_else(|| "an unknown version".to_owned(), |major| format!("version {major}"));
            Err(LocalError::TooOld { what: REDIS, found, command: install("redis-server") })
        }
    }
}

/// A program that may be absent.
pub fn optional(name: &str) -> Option<PathBuf> {
    search_path().into_iter().map(|dir| dir.join(name)).find(|p| p.is_file())
}

fn search_path() -> Vec<PathBuf> {
    let vars = Vars::from_process();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(vars.get("PATH").unwrap_or_default()).collect();
    dirs.extend(["/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from));
    dirs
}

/// The first number after a `v=` (Redis) or a space (PostgreSQL) in the program's `--version`.
fn version_of(program: &Path) -> Option<u32> {
    let out = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&out.stdout);
    let start = text.find("v=").map(|at| at + 2).or_else(|| text.find(|c: char| c.is_ascii_digit()))?;
    text[start..].split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The one command that installs a package here; the names are Debian's.
fn install(package: &str) -> String {
    let sudo = if nix::unistd::geteuid().is_root() { "" } else { "sudo " };
    if optional("apt-get").is_some() {
        format!("{sudo}apt-get install -y {package}")
    } else if optional("dnf").is_some() {
        let name = if package == "postgresql" { "postgresql-server" } else { "redis" };
        format!("{sudo}dnf install -y {name}")
    } else if optional("brew").is_some() {
        let name = if package == "postgresql" { "postgresql@17" } else { "redis" };
        format!("brew install {name}")
    } else {
        format!("your package manager (Debian calls the package {package})")
    }
}
