//! Tasks: how soon they start, how many end in a second, one by one, in batches and out of a backlog, and what it costs to read
//! them when there are many.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
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
/// Tasks that the cancel case cancels while they run.
const CANCELLED: usize = 20;
/// Tasks of one batch request.
const BATCH: usize = 500;
/// A small backlog and a large one. The large one takes a quarter of a minute, so the small one is drained so often before it and
/// as often after it: the machine may be another by then.
const BACKLOGS: [usize; 2] = [5_000, 100_000];
/// Small backlogs on either side of a large one.
const BESIDE: usize = 2;
/// How often a case is run: this machine's speed changes by a half from one minute to the next.
const ROUNDS: usize = 5;
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

/// One round of a case: tasks that were submitted, and have ended.
struct Round {
    run: client::Run,
    took: Duration,
    per_second: f64,
    /// Milliseconds a task.
    cpu: f64,
    /// The same by program.
    shares: String,
}

/// Submits [`TASKS`] by so many requests, over all connections, until the last one is done.
async fn round(
    server: &Server,
    database: &mut PgConnection,
    requests: usize,
    make: &MakeRequest,
) -> Result<Round, String> {
    data::clear(database).await?;
    server.quiet().await;
    let (shares, before) = (procfs::by_name(&[server.process.pid()]), server.cpu());
    let start = Instant::now();
    let run = client::run(server.process.address(), Until::Count(requests), false, make).await?;
    until_completed(server, TASKS, start).await?;
    let took = start.elapsed();
    let cpu = per_request(server.cpu() - before, TASKS);
    let shares = shares_of(&shares, &procfs::by_name(&[server.process.pid()]), TASKS);
    Ok(Round { run, took, per_second: rate(TASKS, took), cpu, shares })
}

/// Several rounds, after one that makes connections and plans: the median, and what the rounds and the machine were like.
async fn median(
    server: &Server,
    database: &mut PgConnection,
    requests: usize,
    make: &MakeRequest,
) -> Result<(Round, String), String> {
    round(server, database, requests, make).await?;
    let pace = pace::now();
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(round(server, database, requests, make).await?);
    }
    let pace = pace::since(pace);
    rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let (least, most) = (rounds[0].per_second, rounds[ROUNDS - 1].per_second);
    let note = format!("median of {ROUNDS} rounds, {least:.0} to {most:.0}/s; {pace}");
    Ok((rounds.swap_remove(ROUNDS / 2), note))
}

/// Submits one by one.
pub async fn end_to_end(mode: &'static str, server: &Server, database: &mut PgConnection) -> Result<Line, String> {
    eprintln!("{mode}: {TASKS} tasks end to end");
    let (round, note) = median(server, database, TASKS, &submit(server)).await?;
    let met = round.per_second >= 1500.0 && round.cpu <= 1.2;
    let (submitted, took) = (round.run.took.as_secs_f64(), round.took.as_secs_f64());
    let note = format!("submitted in {submitted:.2} s, all done in {took:.2} s; {}; {note}", round.shares);
    let aim = Some(("1500/s, 1.2 ms CPU".to_owned(), met));
    let mut line = line(mode, "tasks_end_to_end", &round.run, round.cpu, aim, note);
    line.per_second = Some(round.per_second);
    Ok(line)
}

/// As [`end_to_end`], by batches.
pub async fn by_batch(mode: &'static str, server: &Server, database: &mut PgConnection) -> Result<Line, String> {
    eprintln!("{mode}: {TASKS} tasks by batch");
    let (round, note) = median(server, database, TASKS / BATCH, &batches(server)).await?;
    let accepted = round.run.took.as_secs_f64();
    let note = format!("{BATCH} a batch, accepted in {accepted:.2} s; latency of a batch; {}; {note}", round.shares);
    let aim = Some(("4000/s".to_owned(), round.per_second >= 4000.0));
    let mut line = line(mode, "tasks_by_batch", &round.run, round.cpu, aim, note);
    line.per_second = Some(round.per_second);
    Ok(line)
}

/// A small and a large backlog, from the moment at which the lanes are resumed. Each large one is compared with the small ones
/// beside it, and the median of the comparisons counts.
pub async fn backlog(mode: &'static str, server: &Server, database: &mut PgConnection) -> Result<Vec<Line>, String> {
    let [few, many] = BACKLOGS;
    let (mut small, mut large, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        eprintln!("{mode}: a backlog of {many} among those of {few}");
        let mut beside = Vec::new();
        for _ in 0..BESIDE {
            beside.push(drain(server, database, few).await?);
        }
        let middle = drain(server, database, many).await?;
        for _ in 0..BESIDE {
            beside.push(drain(server, database, few).await?);
        }
        #[expect(clippy::cast_precision_loss, reason = "it is four")]
        let mean = beside.iter().map(|drained| drained.0).sum::<f64>() / beside.len() as f64;
        shares.push(middle.0 / mean);
        large.push(middle);
        small.extend(beside);
    }
    data::clear(database).await?;
    shares.sort_by(f64::total_cmp);
    let (share, least, most) = (shares[ROUNDS / 2], shares[0], shares[ROUNDS - 1]);
    let compared = format!("{share:.2} of the rate of the small ones beside it, {least:.2} to {most:.2}");
    Ok(vec![
        drained(mode, few, small, None, None),
        drained(mode, many, large, Some(("no less than small ones".to_owned(), share >= 1.0)), Some(compared)),
    ])
}

/// The line of all drains of one size: the median.
fn drained(
    mode: &'static str,
    tasks: usize,
    mut drains: Vec<(f64, f64)>,
    target: Option<(String, bool)>,
    compared: Option<String>,
) -> Line {
    drains.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (per_second, cpu) = drains[drains.len() / 2];
    let range = format!("median of {}, {:.0} to {:.0}/s", drains.len(), drains[0].0, drains[drains.len() - 1].0);
    Line {
        case: format!("backlog_{tasks}"),
        mode,
        per_second: Some(per_second),
        p50_ms: None,
        p99_ms: None,
        cpu_ms: Some(cpu),
        target,
        note: compared.into_iter().chain([range]).collect::<Vec<_>>().join("; "),
    }
}

/// Tasks that end in a second, and what each costs, of so many that wait. Both moments are of the database's clock: what is over in
/// less than a second would pay for the time between two questions.
async fn drain(server: &Server, database: &mut PgConnection, tasks: usize) -> Result<(f64, f64), String> {
    switch_lanes(server, "pause").await?;
    data::clear(database).await?;
    client::run(server.process.address(), Until::Count(tasks / BATCH), false, &batches(server)).await?;
    server.quiet().await;
    let (before, start) = (server.cpu(), data::now(database).await?);
    switch_lanes(server, "resume").await?;
    until_completed(server, tasks, Instant::now()).await?;
    let cpu = per_request(server.cpu() - before, tasks);
    let took = data::last_end(database).await?.checked_sub(start).ok_or("the tasks ended before they began")?;
    Ok((rate(tasks, took), cpu))
}

/// What reading costs over a small history and a large one: the first page, pages by filters (that few fit, or none), and the
/// status of a task. All are asked in turn, several times, and what other guests of the machine do can only slow one down: the
/// best of each counts. Flat is what takes a fifth longer at most.
pub async fn reads(
    mode: &'static str,
    options: &Options,
    server: &Server,
    database: &mut PgConnection,
) -> Result<Vec<Line>, String> {
    let mut lines: Vec<Line> = Vec::new();
    for total in [FEW, options.many] {
        eprintln!("{mode}: reading among {total} tasks");
        data::generate(database, server.user, total).await?;
        let mut connection = Connection::open(server.process.address()).await?;
        let newest = call(&mut connection, get(server, "/tasks?limit=50")(0)).await?;
        let id = newest["data"]["items"][49]["task_id"].as_str().ok_or("no task in the list")?.to_owned();
        let mut cases = [
            ("list", "/tasks?limit=50".to_owned()),
            ("list_failed", "/tasks?limit=50&status=failed&task_type=sample".to_owned()),
            ("list_cancelled", "/tasks?limit=50&status=cancelled".to_owned()),
            ("status", format!("/tasks/status/{id}")),
        ]
        .map(|(case, path)| (case, get(server, &path), None::<(client::Run, f64)>));
        for _ in 0..ROUNDS {
            for (_, make, best) in &mut cases {
                server.quiet().await;
                let before = server.cpu();
                let run = client::run(server.process.address(), Until::Elapsed(options.span), false, make).await?;
                let cpu = per_request(server.cpu() - before, run.answered);
                if best.as_ref().is_none_or(|(best, _)| run.quantile_ms(0.5) < best.quantile_ms(0.5)) {
                    *best = Some((run, cpu));
                }
            }
        }
        for (case, _, best) in cases {
            let (run, cpu) = best.ok_or("no round")?;
            let few = lines.iter().find(|line| line.case == format!("{case}_{FEW}")).and_then(|line| line.p50_ms);
            let aim = few.map(|few| (format!("flat: p50 {:.2} ms", few * 1.2), run.quantile_ms(0.5) <= few * 1.2));
            lines.push(line(mode, &format!("{case}_{total}"), &run, cpu, aim, format!("best of {ROUNDS}")));
        }
    }
    data::clear(database).await?;
    Ok(lines)
}

/// Tasks that run are cancelled one after the other; from the request to the end, both by the database's clock.
pub async fn cancel(mode: &'static str, server: &Server) -> Result<Line, String> {
    eprintln!("{mode}: cancel of what runs");
    let mut connection = Connection::open(server.process.address()).await?;
    let post = |path: &str, body: &Value| request(Method::POST, path, Some(&server.bearer), Some(body));
    let mut ids = Vec::new();
    for _ in 0..CANCELLED {
        let body = json!({"task_type": "sample", "data": {"duration_ms": 120_000, "steps": 12_000}});
        let accepted = call(&mut connection, post("/tasks/submit", &body)).await?;
        ids.push(accepted["task_id"].as_str().ok_or("no task id")?.to_owned());
    }
    let before = server.cpu();
    let mut waits = Vec::new();
    for id in &ids {
        until(server, &mut connection, id, "running").await?;
        call(&mut connection, post(&format!("/tasks/cancel/{id}"), &json!({}))).await?;
    }
    for id in &ids {
        let task = until(server, &mut connection, id, "cancelled").await?;
        let history = task["data"]["history"].as_array().ok_or("no history")?;
        let asked = history
            .iter()
            .find(|entry| entry["message"].as_str().is_some_and(|text| text.starts_with("Cancellation requested")))
            .ok_or("nobody has asked")?;
        let wait = time(&task["data"]["completed_at"])? - time(&asked["timestamp"])?;
        waits.push(wait);
    }
    let cpu = per_request(server.cpu() - before, CANCELLED);
    let note = format!(
        "{CANCELLED} that run, told at the next renewal; CPU includes what they do and asking for their status"
    );
    Ok(waited(mode, "cancel_to_end", waits, cpu, (1_000.0, 1_000.0), note))
}

/// The line of a case that measures waits; of `aims`, in milliseconds, the first is for half of them and the other for 99 of 100.
fn waited(mode: &'static str, case: &str, waits: Vec<TimeDelta>, cpu: f64, aims: (f64, f64), note: String) -> Line {
    let micros =
        |wait: TimeDelta| u32::try_from(wait.num_microseconds().unwrap_or_default().max(0)).unwrap_or(u32::MAX);
    let mut waits: Vec<u32> = waits.into_iter().map(micros).collect();
    waits.sort_unstable();
    let (p50, p99) = (quantile(&waits, 0.5) / 1000.0, quantile(&waits, 0.99) / 1000.0);
    Line {
        case: case.to_owned(),
        mode,
        per_second: None,
        p50_ms: Some(p50),
        p99_ms: Some(p99),
        cpu_ms: Some(cpu),
        target: Some((format!("p50 {:.0} ms, p99 {:.0} ms", aims.0, aims.1), p50 <= aims.0 && p99 <= aims.1)),
        note,
    }
}

/// Asks for a task until it is in that state.
async fn until(server: &Server, connection: &mut Connection, id: &str, state: &str) -> Result<Value, String> {
    let start = Instant::now();
    loop {
        let task = call(connection, get(server, &format!("/tasks/status/{id}"))(0)).await?;
        if task["data"]["status"] == state {
            return Ok(task);
        }
        if start.elapsed() > Duration::from_mins(1) {
            return Err(format!("the task does not become {state}: {task}"));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn time(value: &Value) -> Result<chrono::DateTime<chrono::FixedOffset>, String> {
    chrono::DateTime::parse_from_rfc3339(value.as_str().ok_or("no time")?).map_err(|e| e.to_string())
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
        let task = until(server, &mut connection, &id, "completed").await?;
        let wait = time(&task["data"]["execution"]["started_at"])? - time(&accepted["data"]["created_at"])?;
        waits.push(wait);
    }
    let cpu = per_request(server.cpu() - before, SINGLE);
    let note = "CPU includes asking for the status until it is done".to_owned();
    Ok(waited(mode, "submit_to_start", waits, cpu, (5.0, 15.0), note))
}
