//! What the kernel says about the processes under load: CPU time and resident memory, from `/proc`.

use std::{collections::HashMap, fs};

/// Kernel ticks a second; the same on every Linux that Rust runs on (`getconf CLK_TCK`).
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds that a process tree has used so far: the given roots, all their living descendants, and the dead ones
/// that were waited for (`cutime`, `cstime`).
pub fn cpu_seconds(roots: &[u32]) -> f64 {
    let processes = processes();
    let ticks: u64 = tree(roots, &processes).iter().filter_map(|pid| processes.get(pid)).map(|p| p.ticks).sum();
    #[expect(clippy::cast_precision_loss, reason = "ticks stay far below 2^53")]
    let ticks = ticks as f64;
    ticks / TICKS_PER_SECOND
}

/// Resident memory of one process, in megabytes (10^6 bytes).
pub fn resident_megabytes(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// The names of the processes in a tree, with their CPU seconds, the busiest first.
pub fn by_name(roots: &[u32]) -> Vec<(String, f64)> {
    let processes = processes();
    let mut names: HashMap<String, u64> = HashMap::new();
    for process in tree(roots, &processes).iter().filter_map(|pid| processes.get(pid)) {
        *names.entry(process.name.clone()).or_default() += process.ticks;
    }
    #[expect(clippy::cast_precision_loss, reason = "ticks stay far below 2^53")]
    let mut out: Vec<(String, f64)> = names.into_iter().map(|(n, t)| (n, t as f64 / TICKS_PER_SECOND)).collect();
    out.sort_by(|a, b| b.1.total_cmp(&a.1));
    out
}

struct Process {
    parent: u32,
    name: String,
    ticks: u64,
}

fn tree(roots: &[u32], processes: &HashMap<u32, Process>) -> Vec<u32> {
    let mut found: Vec<u32> = roots.to_vec();
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        for (&pid, process) in processes {
            if process.parent == parent && !found.contains(&pid) {
                found.push(pid);
            }
        }
        at += 1;
    }
    found
}

fn processes() -> HashMap<u32, Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| Some((pid, read(pid)?)))
        .collect()
}

/// Fields of `/proc/<pid>/stat`, see proc(5): the name stands in parentheses and may hold anything.
fn read(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok());
    let ticks = [11, 12, 13, 14].into_iter().filter_map(number).sum();
    Some(Process { parent: u32::try_from(number(1)?).ok()?, name, ticks })
}
