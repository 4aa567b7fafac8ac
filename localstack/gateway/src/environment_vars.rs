//! The environment variables that a function sees: the template's, the gateway's, and those that Lambda adds.

use std::collections::BTreeMap;

use crate::{
    config::GatewayConfig,
    error::GatewayError,
    template::{EnvValue, FunctionSpec},
};

/// Everything a function's environment has.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>.
pub fn variables(config: &GatewayConfig, spec: &FunctionSpec) -> Result<BTreeMap<String, String>, GatewayError> {
    let stack = &config.stack;
    let mut vars = BTreeMap::from([
        ("AWS_REGION".to_owned(), stack.region.clone()),
        ("AWS_DEFAULT_REGION".to_owned(), stack.region.clone()),
        ("AWS_LAMBDA_FUNCTION_NAME".to_owned(), spec.name.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE".to_owned(), spec.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION".to_owned(), "$LATEST".to_owned()),
    ]);
    if config.twins.is_some() {
        vars.insert("HALYARD_CLOUD".to_owned(), "twin".to_owned());
    }
    for (name, value) in &spec.environment {
        match value {
            EnvValue::Known(value) => {
                vars.insert(name.clone(), value.clone());
            }
            EnvValue::Missing(_) if config.vars.contains_key(name) => {}
            EnvValue::Missing(reason) => {
                return Err(GatewayError::MissingVariable {
                    function: spec.id.clone(),
                    variable: name.clone(),
                    reason: reason.clone(),
                });
            }
        }
    }
    vars.extend(config.vars.clone());
    Ok(vars)
}
