//! The configuration of every function, before any is started.

use halyard_config::{
    AuthConfig, AuthorizerConfig, BeatConfig, ConfigError, FromVars, MigrateConfig, NotifierConfig, StatusConfig,
    TasksConfig, UsersConfig, VarError, Vars, WorkerConfig,
};

use super::{error::LocalError, setup::failed};
use crate::{GatewayConfig, environment_vars};

/// Notes what any function of the stack would refuse, each thing once.
///
/// # Errors
/// When a variable has no value on this machine.
pub fn functions(config: &GatewayConfig, errors: &mut Vec<VarError>) -> Result<(), LocalError> {
    for spec in config.stack.functions.values() {
        let vars: Vars = environment_vars::variables(config, spec).map_err(failed)?.into_iter().collect();
        let wrong = load(&spec.binary, &vars).err().map(|error| error.0).unwrap_or_default();
        for error in wrong {
            // What a file did not give is not missing besides.
            let is_known = |known: &VarError| *known == error || known.name.strip_suffix("_FILE") == Some(error.name);
            if !errors.iter().any(is_known) {
                errors.push(error);
            }
        }
    }
    Ok(())
}

/// A function that is not here is checked by its own start alone.
fn load(binary: &str, vars: &Vars) -> Result<(), ConfigError> {
    fn read<C: FromVars>(vars: &Vars) -> Result<(), ConfigError> {
        C::load(vars).map(drop)
    }
    match binary {
        "halyard-authorizer" => read::<AuthorizerConfig>(vars),
        "halyard-fn-auth" => read::<AuthConfig>(vars),
        "halyard-fn-beat" => read::<BeatConfig>(vars),
        "halyard-fn-migrate" => read::<MigrateConfig>(vars),
        "halyard-fn-notifier" => read::<NotifierConfig>(vars),
        "halyard-fn-status" => read::<StatusConfig>(vars),
        "halyard-fn-tasks" => read::<TasksConfig>(vars),
        "halyard-fn-users" => read::<UsersConfig>(vars),
        "halyard-fn-worker" => read::<WorkerConfig>(vars),
        _ => Ok(()),
    }
}
