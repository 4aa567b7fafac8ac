//! Webhooks over TLS: the program itself, which trusts what its machine trusts, and receivers with certificates of a private
//! authority.

use std::{path::Path, process::Command, time::Duration};

use halyard_tests::{Actor, HalyardProcess, Receiver, Scratch, Target, halyard_program, wait};
use serde_json::json;

const LIMIT: Duration = Duration::from_mins(1);

fn openssl(directory: &Path, arguments: &[&str]) {
    let done = Command::new("openssl").args(arguments).current_dir(directory).output().expect("openssl runs");
    assert!(done.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// An authority, and a certificate of it for `localhost`: `NAME.ca.pem`, `NAME.pem`, `NAME.key`.
fn certificate(directory: &Path, name: &str) {
    let (authority, authority_key) = (format!("{name}.ca.pem"), format!("{name}.ca.key"));
    let (own, key) = (format!("{name}.pem"), format!("{name}.key"));
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let root = ["-subj", "/CN=An authority", "-keyout", &authority_key, "-out", &authority];
    openssl(directory, &[&new[..], &root[..]].concat());
    let leaf = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", &key, "-out", &own];
    let signed = ["-CA", &authority, "-CAkey", &authority_key, "-addext", "basicConstraints=critical,CA:FALSE"];
    openssl(directory, &[&new[..], &leaf[..], &signed[..]].concat());
}

fn receiver(directory: &Path, name: &str) -> Receiver {
    certificate(directory, name);
    Receiver::start_tls(&directory.join(format!("{name}.pem")), &directory.join(format!("{name}.key")))
}

async fn submit(user: &Actor, url: &str) {
    let body = json!({"task_type": "sample", "data": {}, "callbacks": {"completion_url": url}});
    user.submit(body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_goes_out_over_tls_to_whom_the_machine_trusts_and_to_nobody_else() {
    let scratch = Scratch::new("webhook-tls");
    let (known, unknown) = (receiver(scratch.path(), "known"), receiver(scratch.path(), "unknown"));
    let authorities = scratch.path().join("known.ca.pem").display().to_string();
    let data = Scratch::new("serve");
    let variables = [("SSL_CERT_FILE", authorities.as_str())];
    let mut process = HalyardProcess::spawn_with(&halyard_program(), data.path(), &[], &variables);
    process.until_healthy();
    let user = Target::at(&process.base_url()).user("tls").await;

    submit(&user, &known.url("/completion")).await;
    wait::until("the webhook", LIMIT, async || (known.count() == 1).then_some(())).await;
    let heard = known.take().remove(0);
    assert_eq!((heard.path.as_str(), heard.json()["type"].as_str()), ("/completion", Some("halyard.task.completed")));
    assert!(heard.headers["webhook-signature"].starts_with("v1"));

    submit(&user, &unknown.url("/completion")).await;
    let refused = wait::until("the attempt to be refused", LIMIT, async || {
        let all = user.get("/tasks/webhooks/deliveries").await.expect(200).json()["data"]["items"].take();
        all.as_array()?.iter().find(|delivery| delivery["error"].is_string()).cloned()
    })
    .await;
    assert!(refused["error"].as_str().is_some_and(|why| why.starts_with("no TLS: ")), "{refused}");
    assert_eq!((unknown.count(), known.count()), (0, 0), "nothing was said to whom nobody knows");
    process.stop();
}
