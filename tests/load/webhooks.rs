//! Fan-out: tasks with a callback, from the first submit until a receiver on this machine has heard of the last one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use halyard_tests::Receiver;
use http::Method;
use serde_json::json;

use crate::{
    cases::{line, per_request, request, shares_of},
    client::{self, MakeRequest, Until},
    procfs,
    report::Line,
    server::Server,
};

/// How many tasks are told of.
const TASKS: usize = 1000;

/// Measures it.
pub async fn fan_out(mode: &'static str, server: &Server) -> Result<Line, String> {
    eprintln!("{mode}: {TASKS} webhooks");
    let receiver = Receiver::start();
    let (bearer, url) = (server.bearer.clone(), receiver.url("/hook"));
    let submit: MakeRequest = Arc::new(move |n| {
        let body = json!({"task_type": "sample", "data": {"number": n}, "callbacks": {"completion_url": url}});
        request(Method::POST, "/tasks/submit", Some(&bearer), Some(&body))
    });
    server.quiet().await;
    let (shares, before) = (procfs::by_name(&[server.process.pid()]), server.cpu());
    let start = Instant::now();
    let run = client::run(server.process.address(), Until::Count(TASKS), false, &submit).await?;
    while receiver.count() < TASKS {
        if start.elapsed() > Duration::from_mins(2) {
            return Err(format!("{} of {TASKS} webhooks came", receiver.count()));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = start.elapsed();
    let cpu = per_request(server.cpu() - before, TASKS);
    let shares = shares_of(&shares, &procfs::by_name(&[server.process.pid()]), TASKS);
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let rate = TASKS as f64 / took.as_secs_f64();
    let note =
        format!("submitted in {:.2} s, all heard in {:.2} s; {shares}", run.took.as_secs_f64(), took.as_secs_f64());
    let mut line = line(mode, "webhooks", &run, cpu, Some(("500/s".to_owned(), rate >= 500.0)), note);
    line.per_second = Some(rate);
    Ok(line)
}
