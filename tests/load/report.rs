//! The table that `make bench` prints and the file that it leaves.

use std::{fmt::Write as _, path::Path};

use serde_json::{Value, json};

/// Round trips to each store for one invocation of a case.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RoundTrips {
    /// Statements, or transactions sent as one, to PostgreSQL.
    pub database: f64,
    /// Reads by Redis: a pipeline is one.
    pub redis: f64,
    /// Calls of the queue service.
    pub queue: f64,
    /// Calls of the table service.
    pub table: f64,
}

/// One measured line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Which case.
    pub case: String,
    /// `managed` or `standard`.
    pub mode: &'static str,
    /// Requests, or tasks, a second.
    pub per_second: Option<f64>,
    /// Median latency.
    pub p50_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// CPU time over all processes but the load generator.
    pub cpu_ms: Option<f64>,
    /// What the issue asks for, and whether it was met.
    pub target: Option<(String, bool)>,
    /// Anything else worth a column of its own.
    pub note: String,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Report {
    /// The lines, in order.
    pub lines: Vec<Line>,
    /// Round trips by case.
    pub round_trips: Vec<(String, RoundTrips)>,
}

impl Report {
    /// The table, for people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let number = |n: Option<f64>, digits: usize| n.map_or_else(|| "-".to_owned(), |n| format!("{n:.digits$}"));
        let _ = writeln!(
            out,
            "{:<26} {:<9} {:>9} {:>8} {:>8} {:>11}  {:<28} notes",
            "case", "mode", "per s", "p50 ms", "p99 ms", "CPU ms/req", "aim"
        );
        for line in &self.lines {
            let aim = line
                .target
                .as_ref()
                .map_or_else(String::new, |(text, met)| format!("{text} {}", if *met { "met" } else { "MISSED" }));
            let _ = writeln!(
                out,
                "{:<26} {:<9} {:>9} {:>8} {:>8} {:>11}  {aim:<28} {}",
                line.case,
                line.mode,
                number(line.per_second, 0),
                number(line.p50_ms, 2),
                number(line.p99_ms, 2),
                number(line.cpu_ms, 3),
                line.note,
            );
        }
        let _ = writeln!(out, "\nround trips per invocation     PostgreSQL    Redis      SQS DynamoDB");
        for (case, trips) in &self.round_trips {
            let _ = writeln!(
                out,
                "{case:<30} {:>10.2} {:>8.2} {:>8.2} {:>8.2}",
                trips.database, trips.redis, trips.queue, trips.table
            );
        }
        out
    }

    /// Writes the lines as JSON.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let lines: Vec<Value> = self.lines.iter().map(|line| self.entry(line)).collect();
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        std::fs::write(path, format!("{:#}\n", Value::Array(lines)))
    }

    fn entry(&self, line: &Line) -> Value {
        let trips = self.round_trips.iter().find(|(case, _)| *case == line.case).map(|(_, trips)| {
            json!({"database": trips.database, "redis": trips.redis, "queue": trips.queue, "table": trips.table})
        });
        json!({
            "case": line.case,
            "mode": line.mode,
            "rps": line.per_second,
            "p50_ms": line.p50_ms,
            "p99_ms": line.p99_ms,
            "cpu_ms_per_request": line.cpu_ms,
            "target": line.target.as_ref().map(|(text, _)| text),
            "target_met": line.target.as_ref().map(|(_, met)| met),
            "round_trips": trips,
            "note": line.note,
        })
    }
}
