//! The functions as processes of their own under `cargo lambda watch`, the gateway in front of them over the Lambda
//! Invoke API, SQS and DynamoDB played by an emulator: the same end-to-end steps as everywhere else.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use halyard_tests::{
    HalyardProcess, Scratch, Target, environment::variable, halyard_program, process::free_port, routes, wait,
};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::json;

/// The first time every function is built.
const BUILD: Duration = Duration::from_mins(20);

/// `cargo lambda watch` with everything that it started.
struct Watch(Child);

impl Drop for Watch {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.0.id().cast_signed());
        let _ = killpg(group, Signal::SIGTERM);
        wait::until_blocking("cargo lambda to end", Duration::from_secs(20), || self.0.try_wait().ok().flatten());
        let _ = killpg(group, Signal::SIGKILL);
    }
}

/// Builds what `cargo lambda watch` will run, as it would: the first invocation of a function shall not wait for a
/// compiler, and be given up.
fn build() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--manifest-path", "Cargo.toml"]);
    for function in routes::stack().functions.values() {
        cargo.args(["--bin", &function.binary]);
    }
    let built = cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).output().expect("cargo runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

fn watch(program: &str, port: u16, environment: &std::path::Path, log: &std::path::Path) -> Watch {
    use std::os::unix::process::CommandExt as _;
    let log = fs::File::create(log).expect("a log");
    let mut command = Command::new(program);
    command.args(["lambda", "watch", "--quiet", "--ignore-changes", "--concurrency", "2"]);
    command.args(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string(), "--env-file"]).arg(environment);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log).process_group(0);
    Watch(command.spawn().unwrap_or_else(|e| panic!("cannot start {program}: {e}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_goes_its_whole_way_through_functions_that_are_processes_of_their_own() {
    let (program, aws) = (variable("TEST_CARGO_LAMBDA"), variable("TEST_AWS_ENDPOINT"));
    let (Some(program), Some(aws)) = (program, aws) else {
        panic!("this test needs cargo-lambda and an emulator of AWS: run it with `make test`, which brings both");
    };
    build();
    let scratch = Scratch::new("watch");
    let (port, environment) = (free_port(), scratch.path().join("functions.env"));
    let endpoint = format!("http://127.0.0.1:{port}");
    let arguments = ["--invoke", "lambda-api", "--endpoint", &endpoint, "--aws-endpoint", &aws];
    let mut halyard = HalyardProcess::spawn(&halyard_program(), scratch.path(), &arguments);
    wait::until("the functions' environment", Duration::from_mins(1), async || environment.exists().then_some(()))
        .await;
    let log = scratch.path().join("watch.log");
    let functions = watch(&program, port, &environment, &log);
    halyard.until_healthy_within(BUILD);

    let target = Target::at(&halyard.base_url());
    let user = target.user("watched").await;
    let id = user.submit(json!({"task_type": "sample", "data": {"message": "over there", "steps": 3}})).await;
    let task = target.finished_within(&user, &id, BUILD).await;
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(task["result"]["message"], "over there");
    user.get("/api/protected").await.expect(200);
    let bad = target.anonymous().request(http::Method::GET, "/api/protected").bearer("not.a.token").send().await;
    bad.expect_problem(401, "token_malformed");
    assert!(user.get(&format!("/tasks/logs/{id}")).await.expect(200).text().contains("step 2 of 3"));
    drop(functions);
}
