//! `keys`: the keys that sign and verify tokens and the secret of the accounts, a file each, as nodes take them
//! (`TOKEN_SIGNING_KEY_FILE`, `TOKEN_KEY_SET_FILE`, `ACCOUNT_KEY_FILE`).

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use halyard_domain::Entropy;

use super::{
    cli::KeysArgs,
    console,
    error::LocalError,
    secrets::{Secrets, account_key},
};

/// Makes them unless they are there.
///
/// # Errors
/// When they cannot be written, or one is there without the other.
pub fn run(args: &KeysArgs) -> Result<(), LocalError> {
    let directory = &args.directory;
    fs::create_dir_all(directory).map_err(LocalError::io("make the directory", directory))?;
    let (private, public) = (directory.join("token_signing_key"), directory.join("token_key_set"));
    let accounts = directory.join("account_key");
    if !accounts.exists() {
        let entropy = Entropy::from_os().map_err(LocalError::io("read", "/dev/urandom"))?;
        write(&accounts, &account_key(&entropy)).map_err(LocalError::io("write", &accounts))?;
    }
    match (private.exists(), public.exists()) {
        (true, true) => console::say(&format!("the keys in {} stay as they are", directory.display())),
        (false, false) => {
            let entropy = Entropy::from_os().map_err(LocalError::io("read", "/dev/urandom"))?;
            let made = Secrets::make(&entropy).map_err(LocalError::Gateway)?;
            write(&public, &made.key_set()).map_err(LocalError::io("write", &public))?;
            write(&private, &made.signing_key()).map_err(LocalError::io("write", &private))?;
            console::say(&format!("new keys are in {}", directory.display()));
        }
        (there, _) => {
            let (there, missing) = if there { (private, public) } else { (public, private) };
            let why = format!("{} is missing beside it", missing.display());
            return Err(LocalError::Damaged { path: there, why });
        }
    }
    Ok(())
}

/// Whole or not at all, never over another, and never readable by others, not even for a moment.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(&new)?;
    let written =
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&new, path));
    let removed = fs::remove_file(&new);
    written.and(removed)
}
