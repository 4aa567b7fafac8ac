//! Signing in and going on: the cost of a password, of a rotated token, and what many sign-ins at once do to everybody else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::{
    Options,
    cases::{line, per_request, request, shares_of},
    client::{self, CONNECTIONS, Connection, MakeRequest, Run, Until, quantile},
    procfs,
    report::Line,
    server::Server,
};

/// Sign-ins at once.
const CROWD: usize = 64;
/// Between two pings, and between two looks at the memory.
const PAUSE: Duration = Duration::from_millis(5);

/// Each connection has a session and rotates its refresh token.
pub async fn refresh(mode: &'static str, options: &Options, server: &Server) -> Result<Line, String> {
    eprintln!("{mode}: refresh");
    let mut chains = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(server.process.address()).await?;
        let (status, body) = connection.call(login("admin", "admin123")).await?;
        chains.push((connection, token(status, &body)?));
    }
    server.quiet().await;
    let (shares, before) = (procfs::by_name(&[server.process.pid()]), server.cpu());
    let (start, span) = (Instant::now(), options.span);
    let workers: Vec<_> = chains
        .into_iter()
        .map(|(mut connection, mut present)| {
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while start.elapsed() < span {
                    let body = json!({"refresh_token": present});
                    let sent = Instant::now();
                    let (status, body) =
                        connection.call(request(Method::POST, "/auth/refresh", None, Some(&body))).await?;
                    latencies.push(microseconds(sent.elapsed()));
                    present = token(status, &body)?;
                }
                Ok::<_, String>(latencies)
            })
        })
        .collect();
    let run = gather(workers, start).await?;
    server.quiet().await;
    let cpu = per_request(server.cpu() - before, run.answered);
    let note = shares_of(&shares, &procfs::by_name(&[server.process.pid()]), run.answered);
    let met = run.per_second() >= 1500.0;
    Ok(line(mode, "refresh", &run, cpu, Some(("1500/s on 2 cores".to_owned(), met)), note))
}

/// One account, the right password.
pub async fn logins(
    mode: &'static str,
    options: &Options,
    server: &Server,
    database: &mut PgConnection,
) -> Result<Line, String> {
    eprintln!("{mode}: login");
    let make: MakeRequest = Arc::new(|_| login("admin", "admin123"));
    client::run(server.process.address(), Until::Count(CONNECTIONS), false, &make).await?;
    server.quiet().await;
    let before = server.cpu();
    let run = client::run(server.process.address(), Until::Elapsed(options.span), false, &make).await?;
    server.quiet().await;
    let cpu = per_request(server.cpu() - before, run.answered);
    let note = parameters(database).await?;
    Ok(line(mode, "login", &run, cpu, None, note))
}

/// The parameters that stand in the stored hash: `argon2id v=19 m=19456,t=2,p=1`.
async fn parameters(database: &mut PgConnection) -> Result<String, String> {
    let hash: Result<String, _> =
        sqlx::query_scalar("select password_hash from users where username = 'admin'").fetch_one(database).await;
    let hash = hash.map_err(|e| e.to_string())?;
    Ok(hash.split('$').filter(|part| !part.is_empty()).take(3).collect::<Vec<_>>().join(" "))
}

/// [`CROWD`] clients sign in again and again, while somebody else pings.
pub async fn crowd(mode: &'static str, options: &Options, server: &Server) -> Result<Line, String> {
    eprintln!("{mode}: {CROWD} sign-ins at once");
    server.quiet().await;
    let pid = server.process.pid();
    let at_rest = procfs::resident_megabytes(pid).unwrap_or_default();
    let before = pings(server, &AtomicBool::new(false), options.span).await?;
    let over = Arc::new(AtomicBool::new(false));
    let (start, span) = (Instant::now(), options.span);
    let mut workers = Vec::new();
    for _ in 0..CROWD {
        let mut connection = Connection::open(server.process.address()).await?;
        workers.push(tokio::spawn(async move {
            let (mut latencies, mut refused) = (Vec::new(), 0_usize);
            while start.elapsed() < span {
                let sent = Instant::now();
                match connection.call(login("admin", "admin123")).await? {
                    (StatusCode::OK, _) => latencies.push(microseconds(sent.elapsed())),
                    (StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, _) => refused += 1,
                    (status, body) => return Err(format!("{status}: {}", String::from_utf8_lossy(&body))),
                }
            }
            Ok::<_, String>((latencies, refused))
        }));
    }
    let peak = tokio::spawn(peak_memory(pid, Arc::clone(&over)));
    let during = pings(server, &over, span).await?;
    let (mut latencies, mut refused) = (Vec::new(), 0);
    for worker in workers {
        let (signed_in, sent_away) = worker.await.map_err(|e| e.to_string())??;
        latencies.extend(signed_in);
        refused += sent_away;
    }
    over.store(true, Ordering::Relaxed);
    let peak = peak.await.map_err(|e| e.to_string())?;
    let run = run_of(latencies, start);
    let p99 = |pings: &[u32]| quantile(pings, 0.99) / 1000.0;
    let note = format!(
        "ping p99 {:.2} ms before, {:.2} ms during; {at_rest:.0} MB resident before, {peak:.0} at most; {refused} refused",
        p99(&before),
        p99(&during)
    );
    let aim = ("ping p99 20 ms".to_owned(), p99(&during) <= 20.0);
    Ok(Line { cpu_ms: None, ..line(mode, "logins64", &run, 0.0, Some(aim), note) })
}

/// How long pings take, in microseconds, ascending.
async fn pings(server: &Server, over: &AtomicBool, span: Duration) -> Result<Vec<u32>, String> {
    let mut connection = Connection::open(server.process.address()).await?;
    let (start, mut latencies) = (Instant::now(), Vec::new());
    while start.elapsed() < span && !over.load(Ordering::Relaxed) {
        let sent = Instant::now();
        connection.call(request(Method::GET, "/health/ping", None, None)).await?;
        latencies.push(microseconds(sent.elapsed()));
        tokio::time::sleep(PAUSE).await;
    }
    latencies.sort_unstable();
    Ok(latencies)
}

async fn peak_memory(pid: u32, over: Arc<AtomicBool>) -> f64 {
    let mut peak: f64 = 0.0;
    while !over.load(Ordering::Relaxed) {
        peak = peak.max(procfs::resident_megabytes(pid).unwrap_or_default());
        tokio::time::sleep(PAUSE).await;
    }
    peak
}

async fn gather(
    workers: Vec<tokio::task::JoinHandle<Result<Vec<u32>, String>>>,
    start: Instant,
) -> Result<Run, String> {
    let mut latencies = Vec::new();
    for worker in workers {
        latencies.extend(worker.await.map_err(|e| e.to_string())??);
    }
    Ok(run_of(latencies, start))
}

fn run_of(mut latencies: Vec<u32>, start: Instant) -> Run {
    let took = start.elapsed();
    latencies.sort_unstable();
    Run { answered: latencies.len(), took, latencies, bodies: Vec::new(), connections: Vec::new() }
}

/// A sign-in.
pub fn login(name: &str, password: &str) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    request(Method::POST, "/auth/login", None, Some(&json!({"username": name, "password": password})))
}

fn token(status: StatusCode, body: &[u8]) -> Result<String, String> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let token = answer["data"]["refresh_token"].as_str().map(str::to_owned);
    token.ok_or_else(|| format!("answer {status}: {}", String::from_utf8_lossy(body)))
}

pub fn microseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
