//! The environments of functions that run elsewhere (`cargo lambda watch`): a file for each in one directory, named after
//! the function's program, `NAME='value'` by the line, as a shell reads it. A function gets what the template gives it and
//! nothing else: the signing key stands in one file only.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use super::error::LocalError;
use crate::{GatewayConfig, environment_vars};

/// Writes the file of every function, with `more` for each. The directory appears when it is whole; in one that is there
/// already each file is replaced in one step.
///
/// # Errors
/// When the template leaves a value open, or the disk refuses.
pub fn write(config: &GatewayConfig, directory: &Path, more: &BTreeMap<String, String>) -> Result<(), LocalError> {
    let mut files = Vec::new();
    for function in config.stack.functions.values() {
        let mut vars = environment_vars::variables(config, function).map_err(|e| LocalError::Gateway(e.to_string()))?;
        vars.extend(more.clone());
        files.push((format!("{}.env", function.binary), lines(&vars)));
    }
    put(directory, &files).map_err(LocalError::io("write", directory))
}

fn lines(vars: &BTreeMap<String, String>) -> String {
    let quoted = |value: &str| value.replace('\'', r"'\''");
    vars.iter().fold(String::new(), |text, (name, value)| text + name + "='" + &quoted(value) + "'\n")
}

fn put(directory: &Path, files: &[(String, String)]) -> io::Result<()> {
    let new = directory.with_extension("new");
    if new.exists() {
        fs::remove_dir_all(&new)?;
    }
    DirBuilder::new().mode(0o700).create(&new)?;
    for (name, text) in files {
        File::options().create_new(true).write(true).mode(0o600).open(new.join(name))?.write_all(text.as_bytes())?;
    }
    if !directory.exists() {
        return fs::rename(&new, directory);
    }
    for (name, _) in files {
        fs::rename(new.join(name), directory.join(name))?;
    }
    fs::remove_dir(&new)
}
