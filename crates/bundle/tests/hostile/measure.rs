//! How much memory and time a reading takes. Memory is the kernel's peak of this process, so that what the decoders in C
//! allocate counts too; it is Linux's, as the product is.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Far above what any case takes in a debug build on a busy machine, and far below what a person waits.
const TIME: Duration = Duration::from_secs(60);

const MIB: u64 = 1024 * 1024;
/// What `Limits` promises for describing and for compose files.
pub(crate) const DESCRIBING: u64 = 64 * MIB;
/// What `Limits` promises for unpacking.
pub(crate) const UNPACKING: u64 = 256 * MIB;

/// The peak is one of the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs it and checks that it took no more than `memory` bytes on top of what there was.
#[track_caller]
pub(crate) fn within<T>(memory: u64, run: impl FnOnce() -> T) -> T {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // Sets the peak to what is resident now: proc(5), `clear_refs`.
    fs::write("/proc/self/clear_refs", "5").expect("Linux lets a process reset its own peak");
    let before = status("VmRSS:");
    let begun = Instant::now();
    let done = run();
    let took = begun.elapsed();
    let added = status("VmHWM:").saturating_sub(before);
    assert!(took <= TIME, "took {took:?}");
    assert!(added <= memory, "{} MiB were added to memory", added / MIB);
    done
}

/// Makes what is large while nobody measures: its memory is not that of another test's reading.
pub(crate) fn aside<T>(make: impl FnOnce() -> T) -> T {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    make()
}

/// A line of this process's status, in bytes.
fn status(line: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux tells a process about itself");
    let found = text.lines().find_map(|text| text.strip_prefix(line));
    let kib = found.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.expect("the line is in KiB") * 1024
}

#[test]
fn memory_is_measured() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    fs::write("/proc/self/clear_refs", "5").expect("Linux lets a process reset its own peak");
    let before = status("VmRSS:");
    drop(std::hint::black_box(vec![1_u8; 40 << 20]));
    let added = status("VmHWM:").saturating_sub(before);
    assert!((30 * MIB..80 * MIB).contains(&added), "{added}");
}
