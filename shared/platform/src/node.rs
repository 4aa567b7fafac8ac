//! The host of an execution environment, and what can be known of it.

use std::{
    net::UdpSocket,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use chrono::{DateTime, Utc};
use halyard_config::NodeConfig;
use halyard_domain::NodeId;

/// Between two heartbeats of one environment, in milliseconds.
const PERIOD_MS: i64 = 10_000;

/// The node that an environment belongs to. One per environment.
#[derive(Debug)]
pub struct Node {
    /// Which.
    pub id: NodeId,
    /// What the whole host is there for, if it says.
    pub role: Option<String>,
    /// The host's name.
    pub hostname: String,
    /// The address that the host reaches others from, if it has one.
    pub ip_address: Option<String>,
    /// The port that it serves, if it says.
    pub port: Option<u16>,
    real_host: bool,
    next_beat: AtomicI64,
    cpu: Mutex<Option<CpuTimes>>,
}

/// What a real host uses; all `None` where that means nothing (a frozen environment) or cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HostUsage {
    /// Per cent of all processors since the last look.
    pub cpu: Option<f64>,
    /// Per cent of memory that is not available to programs.
    pub memory: Option<f64>,
    /// Per cent of the root file system.
    pub disk: Option<f64>,
    /// Over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// File descriptors that this process holds.
    pub open_files: Option<u64>,
}

impl Node {
    /// The node that `config` names, or this host.
    pub fn new(config: &NodeConfig) -> Self {
        let hostname = read("/proc/sys/kernel/hostname").unwrap_or_else(|| "unknown".to_owned());
        Self {
            id: NodeId(config.id.clone().unwrap_or_else(|| hostname.clone())),
            role: config.role.clone(),
            hostname,
            ip_address: local_address(),
            port: config.port,
            real_host: config.real_host,
            next_beat: AtomicI64::new(i64::MIN),
            cpu: Mutex::new(CpuTimes::read()),
        }
    }

    /// Is a heartbeat due? Says so to one caller every ten seconds, on the request path: nothing runs between requests.
    pub fn beat_due(&self, now: DateTime<Utc>) -> bool {
        let now = now.timestamp_millis();
        let due = self.next_beat.load(Ordering::Relaxed);
        now >= due
            && self.next_beat.compare_exchange(due, now + PERIOD_MS, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// What the host uses now. Reads a few lines of `/proc`.
    pub fn usage(&self) -> HostUsage {
        if !self.real_host {
            return HostUsage::default();
        }
        HostUsage {
            cpu: self.cpu_usage(),
            memory: memory_usage(),
            disk: disk_usage(),
            load: load(),
            open_files: std::fs::read_dir("/proc/self/fd").ok().map(|dir| dir.count() as u64),
        }
    }

    fn cpu_usage(&self) -> Option<f64> {
        let mut last = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
        let present = CpuTimes::read()?;
        let before = last.replace(present)?;
        let total = present.total.checked_sub(before.total).filter(|n| *n > 0)?;
        Some(percent(total.saturating_sub(present.idle.saturating_sub(before.idle)), total))
    }
}

/// When the first environment of this process began.
pub(crate) fn process_started(now: DateTime<Utc>) -> DateTime<Utc> {
    static STARTED: OnceLock<DateTime<Utc>> = OnceLock::new();
    *STARTED.get_or_init(|| now)
}

/// Ticks of all processors since the host started. Source: `proc_stat(5)`.
#[derive(Debug, Clone, Copy)]
struct CpuTimes {
    total: u64,
    idle: u64,
}

impl CpuTimes {
    fn read() -> Option<Self> {
        let text = read("/proc/stat")?;
        let ticks: Vec<u64> = text.lines().next()?.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal; what guests used is part of user.
        Some(Self { total: ticks.iter().take(8).sum(), idle: ticks.get(3)? + ticks.get(4)? })
    }
}

fn memory_usage() -> Option<f64> {
    let text = read("/proc/meminfo")?;
    let find = |name: &str| -> Option<u64> {
        text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
    };
    let (total, available) = (find("MemTotal:")?, find("MemAvailable:")?);
    (total > 0).then(|| percent(total.saturating_sub(available), total))
}

fn disk_usage() -> Option<f64> {
    let stat = nix::sys::statvfs::statvfs("/").ok()?;
    // As df(1) has it: what ordinary users may still use counts as free.
    let used = stat.blocks().saturating_sub(stat.blocks_free());
    let usable = used + stat.blocks_available();
    (usable > 0).then(|| percent(used, usable))
}

fn load() -> Option<[f64; 3]> {
    let text = read("/proc/loadavg")?;
    let mut numbers = text.split_whitespace().filter_map(|n| n.parse().ok());
    Some([numbers.next()?, numbers.next()?, numbers.next()?])
}

/// One decimal.
fn percent(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no 53 bits")]
    let share = part as f64 / whole as f64;
    (share * 1_000.0).round() / 10.0
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}

/// Asks the routing table which address faces the world; a datagram socket that is connected sends nothing.
fn local_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // 192.0.2.0/24 is for documentation (RFC 5737): routed like any other address.
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then(|| ip.to_string())
}
