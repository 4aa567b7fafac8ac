use std::{fs, os::unix::fs::PermissionsExt as _};

use super::stack::{SERVICES, Stack, docker};

const SECRETS: [&str; 5] =
    ["database_password", "redis_password", "token_signing_key", "admin_password", "account_key"];
const IMAGES: [&str; 5] = ["nginx", "halyard", "postgres", "redis", "ministack"];

/// Each secret, as it may be found written: whole, and in parts long enough to be one.
fn texts(stack: &Stack) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in SECRETS {
        let text = fs::read_to_string(stack.file("secrets").join(name)).expect("a secret");
        if name == "token_signing_key" {
            // A JWK: the part that is private.
            let key: serde_json::Value = serde_json::from_str(&text).expect("a JWK");
            found.push((name.to_owned(), key["d"].as_str().expect("the private part").to_owned()));
        } else {
            found.push((name.to_owned(), text.trim().to_owned()));
        }
    }
    assert!(found.iter().all(|(_, text)| text.len() >= 8), "each is long enough to be looked for");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_an_image_its_history_or_what_the_engine_shows_of_a_container() {
    let stack = Stack::find().await;
    let mut shown = Vec::new();
    for service in SERVICES.into_iter().chain(["prepare"]) {
        shown.push((service.to_owned(), stack.inspect(service).to_string()));
    }
    for image in IMAGES {
        let image = format!("halyard/{image}:local");
        shown.push((image.clone(), docker(&["image", "inspect", &image])));
        shown.push((format!("the history of {image}"), docker(&["history", "--no-trunc", &image])));
    }
    for (secret, text) in texts(&stack) {
        for (place, words) in &shown {
            assert!(!words.contains(&text), "{secret} is in {place}");
        }
    }
    // A bundle of certificates that was lent to a build is in no layer either.
    let history = docker(&["history", "--no-trunc", "halyard/ministack:local"]);
    assert!(!history.contains("BEGIN CERTIFICATE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_an_environment_a_list_of_arguments_or_a_log() {
    let stack = Stack::find().await;
    for service in SERVICES {
        let running =
            "for f in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do tr '\\0' '\\n' <$f 2>/dev/null; done; true";
        let running = stack.exec(service, &["sh", "-c", running]);
        let running = String::from_utf8_lossy(&running.stdout).into_owned();
        let logs = stack.log(service);
        for (secret, text) in texts(&stack) {
            assert!(!running.contains(&text), "{secret} shows in the processes of {service}");
            assert!(!logs.contains(&text), "{secret} is in the log of {service}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_its_owners_alone_and_given_only_to_whom_it_concerns() {
    let stack = Stack::find().await;
    for name in SECRETS {
        let about = fs::metadata(stack.file("secrets").join(name)).expect("a secret");
        assert_eq!(about.permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(fs::metadata(stack.file("secrets")).expect("a directory").permissions().mode() & 0o777, 0o700);
    let key = fs::metadata(stack.file("tls/key.pem")).expect("a key");
    assert_eq!(key.permissions().mode() & 0o077, 0, "the certificate's key");
    let holds = |service: &str| {
        let listed = stack.exec(service, &["sh", "-c", "ls /run/secrets 2>/dev/null; true"]);
        let mut names: Vec<String> = String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(holds("postgres"), ["database_password"]);
    assert_eq!(holds("redis"), ["redis_password"]);
    assert!(holds("nginx").is_empty() && holds("ministack").is_empty());
    for node in ["api-1", "worker-1", "beat-1"] {
        assert_eq!(
            holds(node),
            ["account_key", "database_password", "redis_password", "token_key_set", "token_signing_key"],
            "{node}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_and_redis_let_nobody_in_without_the_password() {
    let stack = Stack::find().await;
    let wrong = ["sh", "-c", "PGPASSWORD=wrong psql -h 127.0.0.1 -U halyard -d halyard -c 'select 1'"];
    let refused = stack.exec("postgres", &wrong);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("password authentication failed"), "{said}");
    let refused = stack.exec("redis", &["redis-cli", "set", "a", "b"]);
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(said.contains("NOAUTH"), "{said}");
    for (setting, value) in [
        ("synchronous_commit", "on"),
        ("max_connections", "200"),
        ("password_encryption", "scram-sha-256"),
        ("fsync", "on"),
    ] {
        assert_eq!(stack.sql("halyard", &format!("show {setting}")), [value], "{setting}");
    }
    assert_eq!(
        stack.sql("halyard", "select rolsuper or rolcreaterole or rolcreatedb from pg_roles where rolname = 'halyard'"),
        ["f"]
    );
}
