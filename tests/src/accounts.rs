//! Accounts that the tests of a run share on a system far away. There one address may make five accounts and sign in to
//! one account five times a minute, and each test is a process of its own: so accounts and their tokens are kept in files,
//! and each is lent to one test at a time.

use std::{
    fs::{self, File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    actor::{Actor, PASSWORD},
    response::TestResponse,
    transport::Transport,
    wait,
};

/// The most accounts that are lent at a time.
const MOST: usize = 8;
/// As long as it may take to be let in: three times what the limits speak of.
const PATIENCE: Duration = Duration::from_mins(3);

/// The accounts of one system.
#[derive(Debug)]
pub(crate) struct Accounts {
    directory: PathBuf,
    transport: Arc<dyn Transport>,
}

impl Accounts {
    /// Of the system at `base`.
    pub fn of(base: &str, transport: Arc<dyn Transport>) -> Self {
        let name: String = base.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let directory = std::env::temp_dir().join(format!("halyard-e2e-{name}"));
        fs::create_dir_all(&directory).expect("a directory for accounts");
        Self { directory, transport }
    }

    /// Borrows an account until the file is dropped; makes one when all that exist are lent.
    pub async fn borrow(&self, prefix: &str) -> (Actor, File) {
        let mut file = wait::until("an account to be free", PATIENCE, async || {
            (0..MOST).find_map(|n| try_lock(self.open(&format!("account-{n}"))))
        })
        .await;
        if let Some(actor) = self.known(&mut file).await {
            return (actor, file);
        }
        let name = format!("{prefix}-{}", unique());
        patiently(|| Actor::try_register(&self.transport, &name)).await.expect(200);
        let actor = self.sign_in(&name, PASSWORD).await;
        keep(&mut file, &actor);
        (actor, file)
    }

    /// The administrator: one session, which every test may use at the same time.
    pub async fn administrator(&self, password: &str) -> Actor {
        let mut file = self.lock("administrator").await;
        if let Some(actor) = self.known(&mut file).await {
            return actor;
        }
        let actor = self.sign_in("admin", password).await;
        keep(&mut file, &actor);
        actor
    }

    /// Waits until nobody else holds what is named so; held until the file is dropped.
    pub async fn lock(&self, name: &str) -> File {
        wait::until(format!("{name} to be free"), PATIENCE, async || try_lock(self.open(name))).await
    }

    /// Who is written in a file, if the system still knows them: with the token, else by password.
    async fn known(&self, file: &mut File) -> Option<Actor> {
        let mut text = String::new();
        file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("an account's file");
        let written: Value = serde_json::from_str(&text).ok()?;
        let part = |name: &str| written[name].as_str().map(str::to_owned);
        let mut actor = Actor::anonymous(Arc::clone(&self.transport));
        (actor.username, actor.password) = (part("username")?, part("password")?);
        (actor.access_token, actor.refresh_token) = (part("access_token"), part("refresh_token"));
        actor.user_id = written["user_id"].as_i64()?;
        if actor.get("/auth/validate").await.code() == 200 {
            return Some(actor);
        }
        // The session has ended, or the whole system is another one.
        let answer = patiently(|| actor.try_login()).await;
        (answer.code() == 200).then(|| {
            actor.signed_in(&answer);
            keep(file, &actor);
            actor
        })
    }

    async fn sign_in(&self, name: &str, password: &str) -> Actor {
        let mut actor = Actor::anonymous(Arc::clone(&self.transport));
        (actor.username, actor.password) = (name.to_owned(), password.to_owned());
        let answer = patiently(|| actor.try_login()).await.expect(200);
        actor.signed_in(&answer);
        actor
    }

    fn open(&self, name: &str) -> File {
        let path = self.directory.join(name);
        File::options().read(true).write(true).create(true).truncate(false).open(path).expect("an account's file")
    }
}

/// Sends a request again for as long as a limit refuses it, when `Retry-After` bids.
pub(crate) async fn patiently<F: Future<Output = TestResponse>>(mut request: impl FnMut() -> F) -> TestResponse {
    wait::until("a limit to let a request pass", PATIENCE, || {
        let pending = request();
        async move {
            let answer = pending.await;
            if answer.code() != 429 {
                return Some(answer);
            }
            let seconds = answer.header("retry-after").parse().expect("seconds");
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            None
        }
    })
    .await
}

/// Eight characters that no earlier run of the suite has used against the same system.
pub(crate) fn unique() -> String {
    let entropy = halyard_domain::Entropy::from_os().expect("randomness");
    format!("{:08x}", u32::from_be_bytes(entropy.bytes()))
}

fn try_lock(file: File) -> Option<File> {
    match file.try_lock() {
        Ok(()) => Some(file),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(error)) => panic!("cannot lock an account: {error}"),
    }
}

fn keep(file: &mut File, actor: &Actor) {
    let text = json!({
        "username": actor.username,
        "password": actor.password,
        "user_id": actor.user_id,
        "access_token": actor.access_token,
        "refresh_token": actor.refresh_token,
    });
    let written = file.rewind().and_then(|()| file.set_len(0)).and_then(|()| write!(file, "{text}"));
    written.expect("an account is kept");
}
