//! The main job, as a client sees it: sign in, submit a task over real data, watch it, read the result.

mod progress;
mod table;

use std::{fs, path::PathBuf, time::Duration};

use halyard_config::Vars;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::progress::Progress;
use super::{cli::DemoArgs, client::Client, console, error::LocalError, places, secrets::ADMIN_PASSWORD};

/// How often the status is read: often enough for a bar that moves, within the limit of 100 reads a minute.
const LOOK: Duration = Duration::from_millis(700);
/// The first looks come sooner: most tasks are done by then.
const FIRST_LOOKS: [u64; 4] = [50, 100, 200, 400];
const PATIENCE: Duration = Duration::from_mins(5);

/// Runs it against a base URL.
///
/// # Errors
/// With the step that failed.
pub async fn run(args: &DemoArgs) -> Result<(), LocalError> {
    let client = Client::new(&args.url);
    console::say(&format!("signing in at {} as {}", client.base(), args.username));
    let token = sign_in(&client, args).await?;
    let client = client.with_token(&token);
    let path = args.csv.clone().map_or_else(|| places::find("tests/data/flights-2013-01.csv"), Ok)?;
    let csv = fs::read_to_string(&path).map_err(LocalError::io("read", &path))?;
    let task = submit(&client, &csv, &path).await?;
    let started = Instant::now();
    watch(&client, &task).await?;
    let took = started.elapsed();
    let result = expect(client.get(&format!("/tasks/result/{task}")).await, "read the result")?;
    let profile = [&result["data"]["result"], &result["data"]].into_iter().find(|at| at["columns"].is_array());
    let profile = profile.ok_or_else(|| LocalError::Demo("the result holds no profile".to_owned()))?;
    println!("\n{}", table::render(profile));
    println!("{}\n", summary(profile, &path, took));
    print_hints(client.base(), &task);
    Ok(())
}

async fn sign_in(client: &Client, args: &DemoArgs) -> Result<String, LocalError> {
    let vars = Vars::from_process();
    let password = args.password.as_deref().or(vars.get("ADMIN_PASSWORD")).unwrap_or(ADMIN_PASSWORD);
    let body = json!({"username": args.username, "password": password});
    let answer = expect(client.post("/auth/login", &body).await, "sign in")?;
    let token = answer["data"]["access_token"].as_str();
    token.map(str::to_owned).ok_or_else(|| LocalError::Demo("the login gave no access token".to_owned()))
}

async fn submit(client: &Client, csv: &str, path: &std::path::Path) -> Result<String, LocalError> {
    console::say(&format!("submitting data_processing over {} ({:.1} MB)", path.display(), megabytes(csv.len())));
    let body = json!({"task_type": "data_processing", "data": {"csv": csv, "top": 3}});
    let answer = expect(client.post("/tasks/submit", &body).await, "submit the task")?;
    let id = answer["task_id"].as_str().or_else(|| answer["data"]["task_id"].as_str());
    id.map(str::to_owned).ok_or_else(|| LocalError::Demo("the submit gave no task id".to_owned()))
}

async fn watch(client: &Client, task: &str) -> Result<(), LocalError> {
    let progress = Progress::new(task);
    let started = Instant::now();
    let mut looks = FIRST_LOOKS.into_iter().map(Duration::from_millis);
    loop {
        let status = expect(client.get(&format!("/tasks/status/{task}")).await, "read the status")?;
        let data = &status["data"];
        let state = data["status"].as_str().unwrap_or("unknown");
        progress.show(state, data["progress"]["percentage"].as_f64());
        match state {
            "completed" => {
                progress.done();
                return Ok(());
            }
            "failed" | "dead" | "cancelled" | "expired" => {
                let why = &data["error"];
                return Err(LocalError::Demo(format!("the task {task} ended as {state}: {why}")));
            }
            _ if started.elapsed() > PATIENCE => {
                return Err(LocalError::Demo(format!("the task {task} is still {state} after {PATIENCE:?}")));
            }
            _ => tokio::time::sleep(looks.next().unwrap_or(LOOK)).await,
        }
    }
}

fn expect(answer: Result<super::client::Answer, String>, step: &str) -> Result<Value, LocalError> {
    match answer {
        Ok(answer) if answer.status == StatusCode::OK => Ok(answer.body),
        Ok(answer) => Err(LocalError::Demo(format!("could not {step}: {}", answer.complaint()))),
        Err(why) => Err(LocalError::Demo(format!("could not {step}: {why}"))),
    }
}

fn summary(profile: &Value, path: &std::path::Path, took: Duration) -> String {
    let name = path.file_name().map(PathBuf::from).unwrap_or_default();
    let rows = profile["rows"].as_u64().unwrap_or_default();
    let malformed = profile["malformed_rows"]["count"].as_u64().unwrap_or_default();
    let columns = profile["columns"].as_array().map_or(0, Vec::len);
    let rows = table::grouped(rows);
    format!(
        "{}: {rows} rows, {columns} columns, {malformed} malformed rows; {took:.2?} from submit to result",
        name.display()
    )
}

fn print_hints(base: &str, task: &str) {
    println!("Halyard is at {base}");
    println!("  health   {base}/health/status");
    println!("  nodes    {base}/health/nodes");
    println!("  keys     {base}/.well-known/jwks.json");
    println!("  docs     {base}/docs");
    println!("  mail     {base}/_local/mail");
    println!("  result   {base}/tasks/result/{task}\n");
    println!("Try next:");
    println!(
        "  TOKEN=$(curl -s {base}/auth/login -H 'Content-Type: application/json' \
         -d '{{\"username\":\"admin\",\"password\":\"admin123\"}}' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')"
    );
    println!(
        "  curl -s {base}/tasks/submit -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \
         -d '{{\"task_type\":\"sample\",\"data\":{{\"message\":\"hello\"}}}}'"
    );
    println!("  curl -s {base}/tasks/stats -H \"Authorization: Bearer $TOKEN\"");
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1_000_000.0
}
