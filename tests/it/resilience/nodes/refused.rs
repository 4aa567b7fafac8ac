use std::net::TcpListener;

use halyard_tests::{Cluster, cluster::Role, process::free_port};

/// What `halyard node` says before it ends without success.
fn refusal(cluster: &Cluster, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let listen = format!("127.0.0.1:{}", free_port());
    let mut command = cluster.command(&["node", "--role", "api"]);
    if !arguments.contains(&"--listen") {
        command.args(["--listen", &listen]);
    }
    let output = command.args(arguments).envs(variables.iter().copied()).output().expect("halyard runs");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_wrong_with_the_configuration_is_said_at_once() {
    let cluster = Cluster::builder().unprepared().await;
    let said = refusal(
        &cluster,
        &[],
        &[
            ("DATABASE_URL", "mysql://db/halyard"),
            ("REDIS_URL", ""),
            ("AWS_ENDPOINT_URL", ""),
            ("TRUSTED_PEERS", "10.0.0.0/8, nginx"),
            ("TOKEN_SIGNING_KEY", "{}"),
            ("TOKEN_KEY_SET_FILE", "/nowhere/at/all"),
            ("HALYARD_MODE", "quick"),
            ("RATE_LIMITS", "maybe"),
            ("HALYARD_ENV", ""),
        ],
    );
    for expected in [
        "DATABASE_URL: must begin with postgres://",
        "REDIS_URL: is required",
        "AWS_ENDPOINT_URL: is required",
        "TRUSTED_PEERS: \"nginx\" is not an address or a network",
        "TOKEN_SIGNING_KEY_FILE: is set, and so is TOKEN_SIGNING_KEY",
        "TOKEN_KEY_SET_FILE: cannot read /nowhere/at/all",
        "HALYARD_MODE: must be standard or managed",
        "RATE_LIMITS: must be one of on, off",
        "HALYARD_ENV: is required",
    ] {
        assert!(said.contains(expected), "{expected} is missing in: {said}");
    }
    assert_eq!(said.matches("TOKEN_KEY_SET").count(), 1, "the file's error is enough: {said}");
    assert_eq!(said.matches("halyard: ").count(), 1, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_do_not_belong_together_are_refused_before_anybody_is_let_in() {
    let (cluster, other) = (Cluster::builder().unprepared().await, Cluster::builder().unprepared().await);
    let said = refusal(&cluster, &[], &[("TOKEN_KEY_SET_FILE", other.variable("TOKEN_KEY_SET_FILE"))]);
    assert!(said.contains("TOKEN_SIGNING_KEY: its public key is not in TOKEN_KEY_SET"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn default_secrets_are_refused_outside_the_local_environment() {
    let cluster = Cluster::builder().unprepared().await;
    let prepare = |password: &str| {
        let variables = [("HALYARD_ENV", "production"), ("RATE_LIMITS", ""), ("ADMIN_PASSWORD", password)];
        let output = cluster.command(&["prepare"]).envs(variables).output().expect("halyard runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (password, problem) in [("", "is required"), ("admin123", "is a default secret")] {
        let (success, said) = prepare(password);
        assert!(!success && said.contains(&format!("ADMIN_PASSWORD: {problem}")), "{said}");
    }
    assert!(prepare("a long and uncommon one").0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_said_and_ends_it() {
    let cluster = Cluster::prepare().await;
    let taken = TcpListener::bind(("127.0.0.1", free_port())).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let said = refusal(&cluster, &["--listen", &address], &[]);
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
    let mut node = cluster.start(Role::Api, "api-1");
    assert!(node.is_running());
}
