//! What the kernel knows of a process: its memory and its processor time.

use std::time::Duration;

pub(crate) const MIB: f64 = 1024.0 * 1024.0;
/// What `sysconf(_SC_CLK_TCK)` says on every Linux.
const TICKS_PER_S: f64 = 100.0;

/// Resident memory in MiB: now, and at its highest since the start.
pub(crate) fn resident_mib(pid: u32) -> [f64; 2] {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kib = |name: &str| -> f64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    ["VmRSS:", "VmHWM:"].map(|name| kib(name) / 1024.0)
}

/// Processor time in seconds that a process and its threads have used, without its children.
pub(crate) fn processor_s(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name in brackets may hold anything; the fields after it are counted.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / TICKS_PER_S
}

pub(crate) fn children(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    listed.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Lets time pass, measured by the clock and not by one sleep, which may end early.
pub(crate) fn pass(time: Duration) {
    let end = std::time::Instant::now() + time;
    while let Some(left) = end
        .checked_duration_since(std::time::Instant::now())
        .filter(|left| !left.is_zero())
    {
        std::thread::park_timeout(left);
    }
}
