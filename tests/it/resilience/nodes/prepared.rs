use std::{process::Child, time::Duration};

use halyard_tests::{Cluster, PrivatePostgres, cluster::Role, wait};

fn ended(mut child: Child) -> bool {
    wait::until_blocking("halyard to end", Duration::from_mins(1), || child.try_wait().ok().flatten()).success()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_may_prepare_at_once_and_again() {
    let cluster = Cluster::builder().unprepared().await;
    let started: Vec<Child> = (0..4).map(|_| cluster.command(&["prepare"]).spawn().expect("halyard runs")).collect();
    assert!(started.into_iter().all(ended));
    assert!(ended(cluster.command(&["prepare"]).spawn().expect("halyard runs")));
    assert_eq!(cluster.count("select count(*) from users where role = 'admin'").await, 1);
    let api = cluster.start(Role::Api, "api-1");
    cluster.admin(&api).await.get("/api/protected").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn preparation_waits_for_a_database_that_comes_up_but_not_for_ever() {
    let mut postgres = PrivatePostgres::start().await;
    let cluster = Cluster::builder().database_url(&postgres.url()).unprepared().await;
    postgres.stop();
    let output = cluster.command(&["prepare", "--patience", "0"]).output().expect("halyard runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("PostgreSQL did not come up in time"), "{said}");
    let waiting = cluster.command(&["prepare"]).spawn().expect("halyard runs");
    postgres.start_again().await;
    assert!(ended(waiting));
    assert_eq!(cluster.count("select count(*) from users where role = 'admin'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_once_and_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let cluster = Cluster::builder().unprepared().await;
    let directory = cluster.directory().join("keys");
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).expect("a key");
    let before = (read("token_signing_key"), read("token_key_set"));
    let make = || {
        let path = directory.display().to_string();
        cluster.command(&["keys", "--directory", &path]).output().expect("halyard runs").status.success()
    };
    assert!(make());
    assert_eq!((read("token_signing_key"), read("token_key_set")), before);
    for name in ["token_signing_key", "token_key_set"] {
        let mode = std::fs::metadata(directory.join(name)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    std::fs::remove_file(directory.join("token_key_set")).expect("a file");
    assert!(!make(), "a private key whose public half is gone is not replaced");
    assert_eq!(read("token_signing_key"), before.0);
}
