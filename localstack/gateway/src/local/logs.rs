//! The log of the gateway and the functions: JSON lines in the data directory, so that the terminal is left to people.

use std::{
    fs::{self, File},
    sync::Mutex,
};

use halyard_config::Vars;

use super::{cli::ServeArgs, error::LocalError, layout::Layout};

/// A log that has grown beyond this is begun anew at the next start.
const LONGEST_LOG: u64 = 20 * 1024 * 1024;

/// Starts logging.
///
/// # Errors
/// When the file cannot be written to.
pub fn begin(args: &ServeArgs, layout: &Layout) -> Result<(), LocalError> {
    for name in ["halyard", "postgres", "redis"] {
        let log = layout.log(name);
        if fs::metadata(&log).is_ok_and(|found| found.len() > LONGEST_LOG) {
            File::options().write(true).truncate(true).open(&log).map_err(LocalError::io("write to", &log))?;
        }
    }
    let vars = Vars::from_process();
    let filter = vars.get("LOG_LEVEL").unwrap_or("info");
    if args.detached {
        // Standard output is the log already.
        halyard_http::telemetry::init(filter);
        return Ok(());
    }
    let path = layout.log("halyard");
    let file = File::options().create(true).append(true).open(&path).map_err(LocalError::io("write to", path))?;
    halyard_http::telemetry::init_to(filter, Mutex::new(file));
    Ok(())
}
