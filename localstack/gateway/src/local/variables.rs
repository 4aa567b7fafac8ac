//! What a node is told by its environment: variables, or files that variables name (`DATABASE_PASSWORD_FILE`), which is
//! how container engines hand over secrets.

use std::fs;

use halyard_config::{VarError, Vars};

macro_rules! names {
    ($($name:literal)+) => { [$(($name, concat!($name, "_FILE"))),+] };
}

/// Every variable that counts, and the one that names a file instead.
const NAMES: [(&str, &str); 36] = names! {
    "HALYARD_ENV" "HALYARD_MODE" "HALYARD_TEMPLATE" "HALYARD_VERSION" "STACK_NAME" "NODE_ID" "TRUSTED_PEERS" "RATE_LIMITS"
    "LOG_LEVEL" "CORS_ORIGINS" "DATABASE_URL" "DATABASE_PASSWORD" "REDIS_URL" "REDIS_PASSWORD" "AWS_ENDPOINT_URL"
    "AWS_REGION" "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN" "TOKEN_SIGNING_KEY" "TOKEN_KEY_SET"
    "ACCOUNT_KEY" "TOKEN_HS256_SECRET" "TOKEN_ISSUER" "TOKEN_AUDIENCE" "MAIL_FROM"
    "MAIL_CONFIGURATION_SET" "PUBLIC_URL" "OUTBOUND_ALLOW_PRIVATE" "ADMIN_USERNAME" "ADMIN_EMAIL" "ADMIN_PASSWORD"
    "TASK_FUNCTIONS" "AWS_ENDPOINT_URL_LAMBDA" "AWS_ENDPOINT_URL_S3" "OBJECTS_PUBLIC_URL"
};

/// Reads what counts of `given`, files included, and notes what is wrong with the files.
pub fn read(given: &Vars, errors: &mut Vec<VarError>) -> Vars {
    let mut found = Vec::new();
    for (name, by_file) in NAMES {
        match (given.get(name), given.get(by_file)) {
            (Some(_), Some(_)) => {
                errors.push(VarError {
                    name: by_file,
                    problem: format!("is set, and so is {name}: one of them is wrong"),
                });
            }
            (Some(value), None) => found.push((name, value.to_owned())),
            (None, Some(path)) => match fs::read_to_string(path) {
                Ok(text) => found.push((name, without_newline(&text).to_owned())),
                Err(error) => errors.push(VarError { name: by_file, problem: format!("cannot read {path}: {error}") }),
            },
            (None, None) => {}
        }
    }
    found.into_iter().collect()
}

/// Editors and `echo` end a file with one; it is no part of the secret.
fn without_newline(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}
