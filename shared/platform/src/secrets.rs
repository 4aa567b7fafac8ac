//! Variables that name a secret instead of holding it.

use std::collections::{BTreeMap, BTreeSet};

use halyard_cloud::{
    aws::SdkConfig,
    secrets::{SecretError, SecretFields, SecretRef, Secrets},
};
use halyard_config::Vars;
use tokio::task::JoinSet;

use crate::host::InitError;

/// The variables with every reference replaced by what it refers to; `None` when there is no reference, and then nothing
/// is asked. Each secret is asked for once, all of them side by side.
///
/// # Errors
/// Everything that could not be resolved, by the variable's name and never with a value.
pub(crate) async fn resolve(vars: &Vars, sdk: impl FnOnce() -> SdkConfig) -> Result<Option<Vars>, InitError> {
    let (mut wanted, mut wrong) = (BTreeMap::new(), Vec::new());
    for (name, value) in vars.iter() {
        match SecretRef::parse(value) {
            None => {}
            Some(Ok(reference)) => drop(wanted.insert(name.to_owned(), reference)),
            Some(Err(error)) => wrong.push(format!("{name}: {error}")),
        }
    }
    if wanted.is_empty() && wrong.is_empty() {
        return Ok(None);
    }
    let names = wanted.values().map(|reference| reference.secret.clone()).collect();
    let secrets = fetch(names, &Secrets::new(&sdk())).await;
    let mut resolved = vars.clone();
    for (name, SecretRef { secret, field }) in wanted {
        let value = match secrets.get(&secret) {
            Some(Ok(fields)) => fields.field(&field),
            Some(Err(error)) => Err(error.clone()),
            None => Err(SecretError::Unavailable(secret, "nobody asked for it".to_owned())),
        };
        match value {
            Ok(value) => resolved = resolved.with(&name, value),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    if wrong.is_empty() { Ok(Some(resolved)) } else { Err(InitError::Other(wrong.join("\n  "))) }
}

async fn fetch(names: BTreeSet<String>, secrets: &Secrets) -> BTreeMap<String, Result<SecretFields, SecretError>> {
    let mut asked = JoinSet::new();
    for name in names {
        let secrets = secrets.clone();
        asked.spawn(async move {
            let fields = secrets.get(&name).await;
            (name, fields)
        });
    }
    asked.join_all().await.into_iter().collect()
}
