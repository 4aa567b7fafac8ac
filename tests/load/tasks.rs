//! Tasks: how soon they start, how many end in a second, one by one, in batches and out of a backlog, and what it costs to read
//! them when there are many.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::Method;
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::{
    Options,
    cases::{call, get, line, per_request, request, shares_of, submit, switch_lanes},
    client::{self, Connection, MakeRequest, Until, quantile},
    data, pace, procfs,
    report::Line,
    server::Server,
};

/// How many tasks the end-to-end cases run.
const TASKS: usize = 2000;
/// How many submits the latency case makes, one after the other.
const SINGLE: usize = 300;
/// Tasks of one batch request.
const BATCH: usize = 500;
/// A small backlog and a large one.
const BACKLOGS: [usize; 2] = [5_000, 100_000];
/// How many tasks the small history has.
const FEW: i64 = 10_000;

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn rate(tasks: usize, took: Duration) -> f64 {
    tasks as f64 / took.as_secs_f64()
}

/// Waits until the caller has so many completed tasks. Asking costs the server about as much as four tasks, so it is not asked
/// more often than needed to know the rate to a few per cent.
async fn until_completed(server: &Server, tasks: usize, start: Instant) -> Result<(), String> {
    let mut connection = Connection::open(server.process.address()).await?;
    loop {
        let stats = call(&mut connection, get(server, "/tasks/stats")(0)).await?;
        if stats["data"]["overview"]["completed_tasks"] == json!(tasks) {
            return Ok(());
        }
        if start.elapsed() > Duration::from_mins(5) {
            return Err(format!("the tasks do not end: {}", stats["data"]["overview"]));
        }
        tokio::time::sleep(Duration::from_millis(if tasks > TASKS { 50 } else { 20 })).await;
    }
}

fn batches(server: &Server) -> MakeRequest {
    let bearer = server.bearer.clone();
    Arc::new(move |n| {
        let task = |i: usize| json!({"task_type": "sample", "data": {"message": "hello", "number": n * BATCH + i}});
        let tasks: Vec<Value> = (0..BATCH).map(task).collect();
        let body = json!({"batch_name": "load", "execution_mode": "parallel", "tasks": tasks});
        request(Method::POST, "/tasks/batch", Some(&bearer), Some(&body))
    })
}

/// As [`end_to_end`], by batches; after one that makes connections and plans.
pub async fn by_batch(mode: &'static str, server: &Server, database: &mut PgConnection) -> Result<Line, String> {
    eprintln!("{mode}: {TASKS} tasks by batch");
    client::run(server.process.address(), Until::Count(TASKS / BATCH), false, &batches(server)).await?;
    until_completed(server, TASKS, Instant::now()).await?;
    data::clear(database).await?;
    server.quiet().await;
    let pace = pace::now();
    let (shares, before) = (procfs::by_name(&[server.process.pid()]), server.cpu());
    let start = Instant::now();
    let run = client::run(server.process.address(), Until::Count(TASKS / BATCH), false, &batches(server)).await?;
    until_completed(server, TASKS, start).await?;
    let took = start.elapsed();
    let cpu = per_request(server.cpu() - before, TASKS);
    let shares = shares_of(&shares, &procfs::by_name(&[server.process.pid()]), TASKS);
    let rate = rate(TASKS, took);
    let (_, pace) = pace::since(pace);
    let note =
        format!("{BATCH} a batch, accepted in {:.2} s; latency of a batch; {shares}; {pace}", run.took.as_secs_f64());
    let mut line = line(mode, "tasks_by_batch", &run, cpu, Some(("4000/s".to_owned(), rate >= 4000.0)), note);
    line.per_second = Some(rate);
    Ok(line)
}

/// A small and a large backlog, from the moment at which the lanes are resumed.
pub async fn backlog(mode: &'static str, server: &Server, database: &mut PgConnection) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    let mut small = 0.0;
    for tasks in BACKLOGS {
        eprintln!("{mode}: a backlog of {tasks}");
        switch_lanes(server, "pause").await?;
        data::clear(database).await?;
        let run = client::run(server.process.address(), Until::Count(tasks / BATCH), false, &batches(server)).await?;
        server.quiet().await;
        let pace = pace::now();
        let before = server.cpu();
        let start = Instant::now();
        switch_lanes(server, "resume").await?;
        until_completed(server, tasks, start).await?;
        let took = start.elapsed();
        let cpu = per_request(server.cpu() - before, tasks);
        let rate = rate(tasks, took);
        let aim = (small > 0.0).then(|| (format!("no less than {small:.0}/s"), rate >= small));
        small = rate;
        let (_, pace) = pace::since(pace);
        let note = format!("{tasks} tasks done in {:.2} s; {pace}", took.as_secs_f64());
        let mut line = line(mode, &format!("backlog_{tasks}"), &run, cpu, aim, note);
        (line.per_second, line.p50_ms, line.p99_ms) = (Some(rate), None, None);
        lines.push(line);
    }
    data::clear(database).await?;
    Ok(lines)
}

/// What reading costs over a small history and a large one: the first page, pages by filters (that few fit, or none), and the
/// status of a task. Flat is what takes a fifth longer at most, at the pace that the machine has then.
pub async fn reads(
    mode: &'static str,
    options: &Options,
    server: &Server,
    database: &mut PgConnection,
) -> Result<Vec<Line>, String> {
    let mut lines: Vec<Line> = Vec::new();
    let mut paces = Vec::new();
    for total in [FEW, options.many] {
        data::generate(database, server.user, total).await?;
        server.quiet().await;
        let mut connection = Connection::open(server.process.address()).await?;
        let newest = call(&mut connection, get(server, "/tasks?limit=50")(0)).await?;
        let id = newest["data"]["items"][49]["task_id"].as_str().ok_or("no task in the list")?.to_owned();
        for (case, path) in [
            ("list", "/tasks?limit=50".to_owned()),
            ("list_failed", "/tasks?limit=50&status=failed&task_type=sample".to_owned()),
            ("list_cancelled", "/tasks?limit=50&status=cancelled".to_owned()),
            ("status", format!("/tasks/status/{id}")),
        ] {
            eprintln!("{mode}: {case} over {total} tasks");
            client::run(server.process.address(), Until::Elapsed(Duration::from_secs(1)), false, &get(server, &path))
                .await?;
            server.quiet().await;
            let pace = pace::now();
            let before = server.cpu();
            let run =
                client::run(server.process.address(), Until::Elapsed(options.span), false, &get(server, &path)).await?;
            let cpu = per_request(server.cpu() - before, run.answered);
            let (pace, note) = pace::since(pace);
            let name = format!("{case}_{total}");
            let few = lines.iter().position(|line| line.case == format!("{case}_{FEW}"));
            let few = few.and_then(|place| lines[place].p50_ms.map(|p50| p50 / paces[place] * pace));
            let p50 = run.quantile_ms(0.5);
            let aim = few.map(|few| (format!("flat: p50 {:.2} ms at this pace", few * 1.2), p50 <= few * 1.2));
            lines.push(line(mode, &name, &run, cpu, aim, note));
            paces.push(pace);
        }
    }
    data::clear(database).await?;
    Ok(lines)
}

/// Submits one by one, over all connections, until the last task is done; after as many that make connections and plans.
pub async fn end_to_end(mode: &'static str, server: &Server, database: &mut PgConnection) -> Result<Line, String> {
    eprintln!("{mode}: {TASKS} tasks end to end");
    client::run(server.process.address(), Until::Count(TASKS), false, &submit(server)).await?;
    until_completed(server, TASKS, Instant::now()).await?;
    data::clear(database).await?;
    server.quiet().await;
    let pace = pace::now();
    let (shares, before) = (procfs::by_name(&[server.process.pid()]), server.cpu());
    let start = Instant::now();
    let run = client::run(server.process.address(), Until::Count(TASKS), false, &submit(server)).await?;
    until_completed(server, TASKS, start).await?;
    let took = start.elapsed();
    let cpu = per_request(server.cpu() - before, TASKS);
    let shares = shares_of(&shares, &procfs::by_name(&[server.process.pid()]), TASKS);
    let rate = rate(TASKS, took);
    let met = rate >= 1500.0 && cpu <= 1.2;
    let (_, pace) = pace::since(pace);
    let (submitted, took) = (run.took.as_secs_f64(), took.as_secs_f64());
    let note = format!("submitted in {submitted:.2} s, all done in {took:.2} s; {shares}; {pace}");
    let mut line = line(mode, "tasks_end_to_end", &run, cpu, Some(("1500/s, 1.2 ms CPU".to_owned(), met)), note);
    line.per_second = Some(rate);
    Ok(line)
}

/// One submit at a time on an idle system; from the time of acceptance to the time of the first attempt, both taken by
/// the database's clock.
pub async fn submit_to_start(mode: &'static str, server: &Server) -> Result<Line, String> {
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
    let met = p50 <= 5.0 && p99 <= 15.0;
    Ok(Line {
        case: "submit_to_start".to_owned(),
        mode,
        per_second: None,
        p50_ms: Some(p50),
        p99_ms: Some(p99),
        cpu_ms: Some(cpu),
        target: Some(("p50 5 ms, p99 15 ms".to_owned(), met)),
        note: "CPU includes asking for the status until it is done".to_owned(),
    })
}
