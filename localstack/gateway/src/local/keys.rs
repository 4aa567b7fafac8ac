//! `keys`: the keys that sign and verify tokens and the secret of the accounts, a file each, as nodes take them
//! (`TOKEN_SIGNING_KEY_FILE`, `TOKEN_KEY_SET_FILE`, `ACCOUNT_KEY_FILE`), and the steps of a rotation: the deploy step takes
//! them, as on AWS.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use halyard_config::Vars;
use halyard_domain::Entropy;
use serde_json::{Value, json};

use super::{
    cli::{KeysArgs, KeysStep, KeysTarget},
    console,
    engine::deploy_step,
    error::LocalError,
    layout::Layout,
    lock::InstanceLock,
    secrets::{self, Secrets, account_key},
    serve, told,
};

/// Makes them unless they are there, or takes a step.
///
/// # Errors
/// When they cannot be read or written, or the step is refused.
pub async fn run(args: &KeysArgs) -> Result<(), LocalError> {
    match &args.step {
        None => args.directory.as_deref().map_or(Ok(()), make),
        Some(KeysStep::Add { directory: Some(directory), .. }) => add_to_files(directory),
        Some(KeysStep::Add { data_dir, .. }) => data_dir.as_deref().map_or(Ok(()), add_to_installation),
        Some(KeysStep::List(target)) => step(target, json!("list")).await,
        Some(KeysStep::Publish(target)) => step(target, json!("publish")).await,
        Some(KeysStep::Promote(target)) => step(target, json!("promote")).await,
        Some(KeysStep::Retire { kid, target }) => step(target, json!({"retire": kid})).await,
        Some(KeysStep::Revoke { kid, target }) => step(target, json!({"revoke": kid})).await,
    }
}

/// Asks the deploy step, and shows the keys as they are then.
async fn step(target: &KeysTarget, command: Value) -> Result<(), LocalError> {
    let vars = Vars::from_process();
    let event = json!({"keys": command});
    let answer = match &target.data_dir {
        None => {
            let (_, config) = told::configure(told::Asked::default(), &vars).await?;
            deploy_step(config, event).await?
        }
        Some(data_dir) => {
            let (layout, _lock) = at_rest(data_dir)?;
            let (config, _) = serve::setup_at_rest(&layout, &vars)?.configure().await?;
            deploy_step(config, event).await?
        }
    };
    for key in answer["keys"].as_array().into_iter().flatten() {
        let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
        let next = ["promote_from", "retire_from"].into_iter().find(|name| key.get(*name).is_some());
        let next = next.map(|name| format!("  {name} {}", text(name))).unwrap_or_default();
        console::say(&format!("{}  {}  since {}{next}", text("kid"), text("state"), text("since")));
    }
    Ok(())
}

/// The tables are one process's alone.
fn at_rest(data_dir: &Path) -> Result<(Layout, InstanceLock), LocalError> {
    let layout = Layout::existing(data_dir)?;
    let layout = layout.ok_or_else(|| LocalError::Empty(data_dir.to_owned()))?;
    let lock = InstanceLock::take(&layout)?;
    Ok((layout, lock))
}

fn entropy() -> Result<Entropy, LocalError> {
    Entropy::from_os().map_err(LocalError::io("read", "/dev/urandom"))
}

fn add_to_installation(data_dir: &Path) -> Result<(), LocalError> {
    let (layout, _lock) = at_rest(data_dir)?;
    let path = layout.secrets();
    let mut kept = Secrets::load_or_make(&path, &entropy()?)?;
    let kid = kept.add(&entropy()?).map_err(|why| LocalError::Damaged { path: path.clone(), why })?;
    kept.write(&path).map_err(LocalError::io("write", &path))?;
    console::say(&format!("{kid} is there; it is published when Halyard starts"));
    Ok(())
}

fn add_to_files(directory: &Path) -> Result<(), LocalError> {
    let (private, public) = files(directory);
    let read = |path: &Path| fs::read_to_string(path).map_err(LocalError::io("read", path));
    let damaged = |why: String| LocalError::Damaged { path: directory.to_owned(), why };
    let parse = |text: String| serde_json::from_str::<Value>(&text).map_err(|e| damaged(e.to_string()));
    let (mut signing_key, mut key_set) = (parse(read(&private)?)?, parse(read(&public)?)?);
    let kid = secrets::add_key(&mut signing_key, &mut key_set, &entropy()?).map_err(damaged)?;
    // The private one first: what is published must be there to sign.
    secrets::replace(&private, signing_key.to_string().as_bytes()).map_err(LocalError::io("write", &private))?;
    secrets::replace(&public, key_set.to_string().as_bytes()).map_err(LocalError::io("write", &public))?;
    console::say(&format!("{kid} is in both files of {}", directory.display()));
    Ok(())
}

fn files(directory: &Path) -> (PathBuf, PathBuf) {
    (directory.join("token_signing_key"), directory.join("token_key_set"))
}

fn make(directory: &Path) -> Result<(), LocalError> {
    fs::create_dir_all(directory).map_err(LocalError::io("make the directory", directory))?;
    let (private, public) = files(directory);
    let accounts = directory.join("account_key");
    if !accounts.exists() {
        write(&accounts, &account_key(&entropy()?)).map_err(LocalError::io("write", &accounts))?;
    }
    match (private.exists(), public.exists()) {
        (true, true) => console::say(&format!("the keys in {} stay as they are", directory.display())),
        (false, false) => {
            let made = Secrets::make(&entropy()?).map_err(LocalError::Gateway)?;
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
