//! What every test starts from: a migrated database with the local administrator, keys, and settings that make tests
//! quick and repeatable.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use halyard_auth::keys;
use halyard_cloud::{
    mail::MailTwin,
    objects::ObjectTwin,
    queue::QueueTwin,
    table::{TableName, TableTwin},
};
use halyard_config::Vars;
use halyard_domain::{Entropy, ManualClock};
use halyard_platform::{
    Host, Twins,
    function::{Function, Invocation},
};
use serde_json::{Value, json};

/// Grows when what is in the template database changes without a migration.
pub const VERSION: u32 = 1;

/// Noon, New Year's Day 2026: where every test's clock starts.
pub fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_268_800, 0).expect("a time")
}

/// The key pair of every test: `(TOKEN_SIGNING_KEY, TOKEN_KEY_SET)`.
pub fn token_keys() -> (String, String) {
    let (private, public) = keys::generate("test-key", [7; 32]).expect("a key");
    (private.to_string(), json!({"keys": [public]}).to_string())
}

/// A signing key and a key set with as many keys as there are names, the first one current and the others standby.
pub fn token_keys_named(names: &[&str]) -> (String, String) {
    let (mut private, mut public) = (Vec::new(), Vec::new());
    for (n, name) in (1..).zip(names) {
        let (signs, mut verifies) = keys::generate(name, [n; 32]).expect("a key");
        if n > 1 {
            verifies["state"] = "standby".into();
        }
        private.push(signs);
        public.push(verifies);
    }
    (json!({"keys": private}).to_string(), json!({"keys": public}).to_string())
}

/// What every function is told on top of the template: cheap password hashes, keys, servers.
pub fn variables(database_url: &str, redis_url: &str, namespace: &str) -> Vec<(String, String)> {
    let (private, public) = token_keys();
    let pairs = [
        ("HALYARD_ENV", "local"),
        ("HALYARD_CLOUD", "twin"),
        ("DATABASE_URL", database_url),
        ("REDIS_URL", redis_url),
        ("REDIS_NAMESPACE", namespace),
        ("TOKEN_SIGNING_KEY", &private),
        ("TOKEN_KEY_SET", &public),
        ("ACCOUNT_KEY", "an-account-key-that-tests-alone-may-use"),
        ("NODE_ID", "test-node"),
        // The least that argon2 takes: what is hashed here protects nothing.
        ("ARGON2_MEMORY_KIB", "8"),
        ("ARGON2_ITERATIONS", "1"),
        ("MAIL_FROM", "no-reply@halyard.test"),
        ("PUBLIC_URL", "https://api.example.com"),
        // Answers need not wait here for nobody to learn from them.
        ("FORGOT_ANSWER_MS", "0"),
        ("ADMIN_USERNAME", "admin"),
        ("ADMIN_EMAIL", "admin@example.com"),
        ("ADMIN_PASSWORD", "admin123"),
    ];
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// Runs the function `migrate` on a database, as a deployment does.
pub async fn migrate(database_url: &str, now: DateTime<Utc>) {
    let answer = invoke_migrate(database_url, now).await;
    assert!(answer.is_object(), "what migrate says: {answer}");
}

/// Likewise; gives its answer.
pub async fn invoke_migrate(database_url: &str, now: DateTime<Utc>) -> Value {
    let vars: Vars = variables(database_url, "redis://127.0.0.1:1/", "none").into_iter().collect();
    let (clock, entropy) = (Arc::new(ManualClock::new(now)), Arc::new(Entropy::seeded(0)));
    let table = TableName("halyard-sessions".to_owned());
    let vars = vars.with("TABLE_SESSIONS", table.0.clone()).with("TABLE_TASK_LOGS", "none");
    let vars = vars.with("TABLE_IDEMPOTENCY", "none");
    let twins = Twins {
        queue: Arc::new(QueueTwin::new(clock.clone(), []).expect("no queues")),
        table: Arc::new(TableTwin::in_memory([table]).expect("a table in memory")),
        objects: Arc::new(ObjectTwin::in_memory(clock.clone(), Arc::clone(&entropy), [])),
        mail: Arc::new(MailTwin::in_memory(clock.clone(), Vec::new()).expect("mailboxes in memory")),
    };
    let host = Host::new(vars, "migrate", clock, entropy, Some(twins));
    let Function::Plain(migrate) = halyard_fn_migrate::init(&host).await.expect("migrate starts") else {
        panic!("migrate takes a plain event");
    };
    let deadline = DateTime::<Utc>::MAX_UTC;
    let invocation = Invocation { aws_request_id: "migrate".to_owned(), deadline };
    migrate.handle(json!({}), invocation).await.expect("migrate works")
}
