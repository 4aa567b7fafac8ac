//! The cases of the table.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use halyard_tests::HalyardProcess;
use http::{Method, Request, header};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::{
    Options,
    client::{self, Connection, MakeRequest, Run, Until},
    data, enumeration, nginx, procfs,
    report::{Line, Report},
    server::Server,
    sign_in, tasks, webhooks,
};

const LANES: [&str; 4] = ["high", "default", "low", "long"];

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
        report.lines.push(tasks::submit_to_start(mode, server).await?);
    }
    if wanted("cancel") {
        report.lines.push(tasks::cancel(mode, server).await?);
        data::clear(&mut database).await?;
    }
    if wanted("tasks_end_to_end") {
        data::clear(&mut database).await?;
        report.lines.push(tasks::end_to_end(mode, server, &mut database).await?);
    }
    if wanted("tasks_by_batch") {
        data::clear(&mut database).await?;
        report.lines.push(tasks::by_batch(mode, server, &mut database).await?);
    }
    if wanted("backlog") {
        report.lines.extend(tasks::backlog(mode, server, &mut database).await?);
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
    if wanted("reads") {
        data::clear(&mut database).await?;
        report.lines.extend(tasks::reads(mode, options, server, &mut database).await?);
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

pub async fn switch_lanes(server: &Server, verb: &str) -> Result<(), String> {
    let mut connection = Connection::open(server.process.address()).await?;
    for lane in LANES {
        let path = format!("/tasks/queues/{lane}/{verb}");
        call(&mut connection, request(Method::POST, &path, Some(&server.bearer), Some(&json!({})))).await?;
    }
    Ok(())
}

pub async fn call(connection: &mut Connection, request: Request<Full<Bytes>>) -> Result<Value, String> {
    let path = request.uri().path().to_owned();
    let (status, body) = connection.call(request).await?;
    if !status.is_success() {
        return Err(format!("{path} answered {status}: {}", String::from_utf8_lossy(&body)));
    }
    serde_json::from_slice(&body).map_err(|e| format!("{path}: {e}"))
}

pub fn get(server: &Server, path: &str) -> MakeRequest {
    let (bearer, path) = (server.bearer.clone(), path.to_owned());
    Arc::new(move |_| request(Method::GET, &path, Some(&bearer), None))
}

pub fn submit(server: &Server) -> MakeRequest {
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
