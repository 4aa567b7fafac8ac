//! Does the time of an answer tell whether an account exists? Requests for accounts that exist and for such that do not, in
//! turn, one at a time on an idle system; the distributions, and how well they can be told apart.

use std::time::Instant;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::{
    Options,
    cases::request,
    client::{Connection, quantile},
    report::Line,
    server::Server,
    sign_in::{login, microseconds},
};

/// Rounds for each second of the span; one round asks each question once.
const ROUNDS: usize = 40;

/// What is asked, and whose answer it must not be told from.
const QUESTIONS: [(&str, Option<&str>); 7] = [
    ("login, wrong password", None),
    ("login, unknown name", Some("login, wrong password")),
    ("login, disabled account", Some("login, wrong password")),
    ("register, free address", None),
    ("register, address taken", Some("register, free address")),
    ("forgot, known address", None),
    ("forgot, unknown address", Some("forgot, known address")),
];

/// Asks every question many times, in an order that changes.
pub async fn measure(
    mode: &'static str,
    options: &Options,
    server: &Server,
    database: &mut PgConnection,
) -> Result<Vec<Line>, String> {
    eprintln!("{mode}: enumeration");
    let mut connection = Connection::open(server.process.address()).await?;
    for name in ["known-user", "disabled-user"] {
        let (status, body) = connection.call(register(name, name)).await?;
        if !matches!(status, StatusCode::OK | StatusCode::CONFLICT) {
            return Err(format!("register answered {status}: {}", String::from_utf8_lossy(&body)));
        }
    }
    let disabled = sqlx::query("update users set status = 'disabled' where username = 'disabled-user'");
    disabled.execute(&mut *database).await.map_err(|e| e.to_string())?;
    let rounds = ROUNDS * usize::try_from(options.span.as_secs().max(1)).unwrap_or(1);
    // A mailbox is written to once a minute: a round takes one of its own, as whoever asks for many addresses does.
    let owners = "insert into users (username, email, password_hash, role, email_verified, created_at, updated_at, password_changed_at)
        select 'owner-' || n, 'owner-' || n || '@example.com', '-', 'user', true, now(), now(), now()
        from generate_series(0, $1) n on conflict do nothing";
    let owners = sqlx::query(owners).bind(i32::try_from(2 * rounds).unwrap_or(i32::MAX));
    owners.execute(database).await.map_err(|e| e.to_string())?;
    server.quiet().await;
    let mut times: Vec<Vec<u32>> = vec![Vec::new(); QUESTIONS.len()];
    let mut statuses = vec![StatusCode::OK; QUESTIONS.len()];
    for round in 0..rounds {
        for at in 0..QUESTIONS.len() {
            // Another order in every round, so that none follows the same one always.
            let question = (at * (1 + round % (QUESTIONS.len() - 1)) + round) % QUESTIONS.len();
            let request = ask(question, round);
            let sent = Instant::now();
            let (status, body) = connection.call(request).await?;
            let took = microseconds(sent.elapsed());
            if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                let name = QUESTIONS[question].0;
                return Err(format!("{name}: answer {status}: {}", String::from_utf8_lossy(&body)));
            }
            statuses[question] = status;
            // The first rounds warm up.
            if round >= 3 {
                times[question].push(took);
            }
        }
    }
    for times in &mut times {
        times.sort_unstable();
    }
    let named = |name: &str| QUESTIONS.iter().position(|(n, _)| *n == name).map(|at| &times[at]);
    let lines = QUESTIONS.iter().enumerate().map(|(at, (name, other))| {
        if statuses[at] == StatusCode::NOT_FOUND {
            return result(mode, name, &[], None, "SKIPPED: there is no such route yet (404)".to_owned());
        }
        let ours = &times[at];
        let [p10, p50, p90, p99] = [0.1, 0.5, 0.9, 0.99].map(|q| quantile(ours, q) / 1000.0);
        let spread = format!("p10 {p10:.2}, p50 {p50:.2}, p90 {p90:.2}, p99 {p99:.2} ms; {}", statuses[at]);
        match other.and_then(named) {
            None => result(mode, name, ours, None, spread),
            Some(theirs) => {
                let (d, critical) = kolmogorov_smirnov(ours, theirs);
                let note =
                    format!("{spread}; D {d:.3}, AUC {:.3} against `{}`", auc(ours, theirs), other.unwrap_or(""));
                result(mode, name, ours, Some((format!("D below {critical:.3} (1 %)"), d <= critical)), note)
            }
        }
    });
    Ok(lines.collect())
}

fn ask(question: usize, round: usize) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    match question {
        0 => login("known-user", "not the password"),
        // The same one every time, as the known one is: what is kept of a name grows with its failures.
        1 => login("unknown-user", "not the password"),
        2 => login("disabled-user", PASSWORD),
        3 => {
            register(&format!("fresh-{}-{round}", std::process::id()), &format!("fresh-{}-{round}", std::process::id()))
        }
        4 => register(&format!("taken-{}-{round}", std::process::id()), &format!("owner-{}", 2 * round)),
        5 => forgot(&format!("owner-{}@example.com", 2 * round + 1)),
        _ => forgot(&format!("nobody-{round}@example.com")),
    }
}

const PASSWORD: &str = "correct horse battery staple";

fn register(name: &str, mailbox: &str) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let body = json!({"username": name, "email": format!("{mailbox}@example.com"), "password": PASSWORD});
    request(Method::POST, "/auth/register", None, Some(&body))
}

fn forgot(email: &str) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let body: Value = json!({"email": email});
    request(Method::POST, "/auth/password/forgot", None, Some(&body))
}

/// The largest distance between two empirical distributions, and the distance that equal ones keep below in 99 of 100
/// trials. Both samples ascending. Source: Kolmogorov and Smirnov; c(0.01) = 1.628 for large samples.
#[expect(clippy::cast_precision_loss, reason = "counts")]
fn kolmogorov_smirnov(one: &[u32], other: &[u32]) -> (f64, f64) {
    let (n, m) = (one.len() as f64, other.len() as f64);
    let below =
        |sample: &[u32], value: u32| sample.partition_point(|x| *x <= value) as f64 / sample.len().max(1) as f64;
    let distances = one.iter().chain(other).map(|value| (below(one, *value) - below(other, *value)).abs());
    (distances.fold(0.0, f64::max), 1.628 * ((n + m) / (n * m)).sqrt())
}

/// How often one of `one` takes longer than one of `other`: 0.5 says nothing, 0 and 1 tell all (Mann and Whitney's U).
#[expect(clippy::cast_precision_loss, reason = "counts")]
fn auc(one: &[u32], other: &[u32]) -> f64 {
    let wins = one.iter().map(|value| {
        let (below, up_to) = (other.partition_point(|x| x < value), other.partition_point(|x| x <= value));
        below as f64 + (up_to - below) as f64 / 2.0
    });
    wins.sum::<f64>() / (one.len() * other.len()).max(1) as f64
}

fn result(mode: &'static str, name: &str, times: &[u32], target: Option<(String, bool)>, note: String) -> Line {
    let quantile = |q: f64| (!times.is_empty()).then(|| quantile(times, q) / 1000.0);
    Line {
        case: name.to_owned(),
        mode,
        per_second: None,
        p50_ms: quantile(0.5),
        p99_ms: quantile(0.99),
        cpu_ms: None,
        target,
        note,
    }
}
