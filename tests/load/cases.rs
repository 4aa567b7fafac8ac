//! The cases of the table.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use halyard_tests::HalyardProcess;
use http::{Method, Request, header};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::{
    Options,
    client::{self, Connection, MakeRequest, Run, Until, quantile},
    data, enumeration, nginx, procfs,
    report::{Line, Report},
    server::Server,
    sign_in, webhooks,
};

const LANES: [&str; 4] = ["high", "default", "low", "long"];
/// How many tasks the end-to-end case runs.
const TASKS: usize = 2000;
/// How many submits the latency case makes, one after the other.
const SINGLE: usize = 300;

/// Runs every case that was asked for.
pub async fn run_all(
    mode: &'static str,
    options: &Options,
    server: &Server,
    report: &mut Report,
) -> Result<(), String> {
    let wanted = |case: &str| case.contains(&options.only);
    let mut database = data::connect(&server.process.database_url()).await?;
    let ping: MakeRequest = Arc::new(|_| request(Method::GET, "/health/ping", None, None));
    if wanted("ping") {
        report.lines.push(throughput(mode, options, server, "ping", 0.06, &ping).await?);
    }
    if wanted("protected") {
        report.lines.push(throughput(mode, options, server, "protected", 0.16, &get(server, "/api/protected")).await?);
    }
    if wanted("protected_nginx") {
        report.lines.push(nginx::protected(mode, options, server, &get(server, "/api/protected")).await?);
    }
    if wanted("refresh") {
        report.lines.push(sign_in::refresh(mode, options, server).await?);
    }
    if wanted("login") {
        report.lines.push(sign_in::logins(mode, options, server, &mut database).await?);
    }
    if wanted("logins64") {
        report.lines.push(sign_in::crowd(mode, options, server).await?);
    }
    if wanted("enumeration") {
        report.lines.extend(enumeration::measure(mode, options, server, &mut database).await?);
    }
    if wanted("submit_to_start") {
        report.lines.push(submit_to_start(mode, server).await?);
    }
    if wanted("tasks_end_to_end") {
        data::clear(&mut database).await?;
        report.lines.push(end_to_end(mode, server).await?);
    }
    if wanted("webhooks") {
        report.lines.push(webhooks::fan_out(mode, server).await?);
        data::clear(&mut database).await?;
    }
    if wanted("submit_paused") {
        switch_lanes(server, "pause").await?;
        data::clear(&mut database).await?;
        report.lines.push(throughput(mode, options, server, "submit_paused", 0.7, &submit(server)).await?);
        data::clear(&mut database).await?;
        switch_lanes(server, "resume").await?;
        server.quiet().await;
    }
    for (case, total) in [("stats_15000", 15_000), ("stats_many", options.many)] {
        if wanted(case) {
            data::generate(&mut database, server.user, total).await?;
            server.quiet().await;
            let mut line = throughput(mode, options, server, case, 0.4, &get(server, "/tasks/stats")).await?;
            line.note = format!("over {total} tasks; {}", line.note);
            report.lines.push(line);
        }
    }
    Ok(())
}

/// Signs in as the local administrator; gives the header's value and the user's number.
pub async fn sign_in(process: &HalyardProcess) -> Result<(String, i64), String> {
    let mut connection = Connection::open(process.address()).await?;
    let body = json!({"username": "admin", "password": "admin123"});
    let (status, body) = connection.call(request(Method::POST, "/auth/login", None, Some(&body))).await?;
    let body: Value = serde_json::from_slice(&body).map_err(|e| format!("login answered {status}: {e}"))?;
    let token = body["data"]["access_token"].as_str().ok_or_else(|| format!("login answered {status}: {body}"))?;
    Ok((format!("Bearer {token}"), body["data"]["user"]["id"].as_i64().unwrap_or_default()))
}

async fn throughput(
    mode: &'static str,
    options: &Options,
    server: &Server,
    case: &str,
    aim: f64,
    make: &MakeRequest,
) -> Result<Line, String> {
    eprintln!("{mode}: {case}");
    client::run(server.process.address(), Until::Elapsed(Duration::from_secs(1)), false, make).await?;
    server.quiet().await;
    let shares = procfs::by_name(&[server.process.pid()]);
    let before = server.cpu();
    let run = client::run(server.process.address(), Until::Elapsed(options.span), false, make).await?;
    server.quiet().await;
    let cpu = per_request(server.cpu() - before, run.answered);
    let note = shares_of(&shares, &procfs::by_name(&[server.process.pid()]), run.answered);
    Ok(line(mode, case, &run, cpu, Some((format!("{aim} ms CPU"), cpu <= aim)), note))
}

async fn end_to_end(mode: &'static str, server: &Server) -> Result<Line, String> {
    eprintln!("{mode}: {TASKS} tasks end to end");
    server.quiet().await;
    let (shares, before) = (procfs::by_name(&[server.process.pid()]), server.cpu());
    let start = Instant::now();
    let run = client::run(server.process.address(), Until::Count(TASKS), false, &submit(server)).await?;
    let mut connection = Connection::open(server.process.address()).await?;
    loop {
        let stats = call(&mut connection, get(server, "/tasks/stats")(0)).await?;
        if stats["data"]["overview"]["completed_tasks"] == json!(TASKS) {
            break;
        }
        if start.elapsed() > Duration::from_mins(2) {
            return Err(format!("the tasks do not end: {}", stats["data"]["overview"]));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = start.elapsed();
    let cpu = per_request(server.cpu() - before, TASKS);
    let shares = shares_of(&shares, &procfs::by_name(&[server.process.pid()]), TASKS);
    #[expect(clippy::cast_precision_loss, reason = "two thousand")]
    let rate = TASKS as f64 / took.as_secs_f64();
    let met = rate >= 1000.0 && cpu <= 1.6;
    let note =
        format!("submitted in {:.2} s, all done in {:.2} s; {shares}", run.took.as_secs_f64(), took.as_secs_f64());
    let mut line = line(mode, "tasks_end_to_end", &run, cpu, Some(("1000/s, 1.6 ms CPU".to_owned(), met)), note);
    line.per_second = Some(rate);
    Ok(line)
}

/// One submit at a time on an idle system; from the time of acceptance to the time of the first attempt, both taken by
/// the database's clock.
async fn submit_to_start(mode: &'static str, server: &Server) -> Result<Line, String> {
    eprintln!("{mode}: submit to start");
    let mut connection = Connection::open(server.process.address()).await?;
    let mut waits = Vec::new();
    let before = server.cpu();
    for _ in 0..SINGLE {
        let accepted = call(&mut connection, submit(server)(0)).await?;
        let id = accepted["task_id"].as_str().ok_or("no task id")?.to_owned();
        let task = loop {
            let task = call(&mut connection, get(server, &format!("/tasks/status/{id}"))(0)).await?;
            if task["data"]["status"] == "completed" {
                break task;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        let time = |value: &Value| {
            let text = value.as_str().ok_or("no time")?;
            chrono::DateTime::parse_from_rfc3339(text).map_err(|e| e.to_string())
        };
        let wait = time(&task["data"]["execution"]["started_at"])? - time(&accepted["data"]["created_at"])?;
        waits.push(u32::try_from(wait.num_microseconds().unwrap_or_default().max(0)).unwrap_or(u32::MAX));
    }
    let cpu = per_request(server.cpu() - before, SINGLE);
    waits.sort_unstable();
    let (p50, p99) = (quantile(&waits, 0.5) / 1000.0, quantile(&waits, 0.99) / 1000.0);
    let met = p50 <= 8.0 && p99 <= 25.0;
    Ok(Line {
        case: "submit_to_start".to_owned(),
        mode,
        per_second: None,
        p50_ms: Some(p50),
        p99_ms: Some(p99),
        cpu_ms: Some(cpu),
        target: Some(("p50 8 ms, p99 25 ms".to_owned(), met)),
        note: "CPU includes asking for the status until it is done".to_owned(),
    })
}

async fn switch_lanes(server: &Server, verb: &str) -> Result<(), String> {
    let mut connection = Connection::open(server.process.address()).await?;
    for lane in LANES {
        let path = format!("/tasks/queues/{lane}/{verb}");
        call(&mut connection, request(Method::POST, &path, Some(&server.bearer), Some(&json!({})))).await?;
    }
    Ok(())
}

async fn call(connection: &mut Connection, request: Request<Full<Bytes>>) -> Result<Value, String> {
    let path = request.uri().path().to_owned();
    let (status, body) = connection.call(request).await?;
    if !status.is_success() {
        return Err(format!("{path} answered {status}: {}", String::from_utf8_lossy(&body)));
    }
    serde_json::from_slice(&body).map_err(|e| format!("{path}: {e}"))
}

fn get(server: &Server, path: &str) -> MakeRequest {
    let (bearer, path) = (server.bearer.clone(), path.to_owned());
    Arc::new(move |_| request(Method::GET, &path, Some(&bearer), None))
}

fn submit(server: &Server) -> MakeRequest {
    let bearer = server.bearer.clone();
    Arc::new(move |n| {
        let body = json!({"task_type": "sample", "priority": n % 10 + 1, "data": {"message": "hello", "number": n}});
        request(Method::POST, "/tasks/submit", Some(&bearer), Some(&body))
    })
}

/// A request of a client.
pub fn request(method: Method, path: &str, bearer: Option<&str>, body: Option<&Value>) -> Request<Full<Bytes>> {
    let mut builder = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
    if let Some(bearer) = bearer {
        builder = builder.header(header::AUTHORIZATION, bearer);
    }
    if body.is_some() {
        builder = builder.header(header::CONTENT_TYPE, "application/json");
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    builder.body(Full::new(Bytes::from(body))).expect("a request made of constants")
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn per_request(cpu_seconds: f64, requests: usize) -> f64 {
    cpu_seconds * 1000.0 / requests.max(1) as f64
}

/// Who used the CPU: milliseconds a request, by the program's name.
pub fn shares_of(before: &[(String, f64)], after: &[(String, f64)], requests: usize) -> String {
    let was = |name: &str| before.iter().find(|(n, _)| n == name).map_or(0.0, |(_, s)| *s);
    let mut parts: Vec<(String, f64)> =
        after.iter().map(|(name, seconds)| (name.clone(), per_request(seconds - was(name), requests))).collect();
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    let parts: Vec<String> =
        parts.iter().filter(|(_, ms)| *ms >= 0.0005).map(|(name, ms)| format!("{name} {ms:.3}")).collect();
    parts.join(", ")
}

pub fn line(mode: &'static str, case: &str, run: &Run, cpu: f64, target: Option<(String, bool)>, note: String) -> Line {
    Line {
        case: case.to_owned(),
        mode,
        per_second: Some(run.per_second()),
        p50_ms: Some(run.quantile_ms(0.5)),
        p99_ms: Some(run.quantile_ms(0.99)),
        cpu_ms: Some(cpu),
        target,
        note,
    }
}
