//! Requests that no honest client sends, against the real program: each has its answer, none hangs, and memory stays
//! bounded.

mod bodies;
mod feed;
mod raw;
mod site;

use crate::running::Running;

/// The most that it ever held, in bytes.
fn peak_bytes(running: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}
