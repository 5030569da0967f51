//! What a batch costs: processor time, and resident memory at its peak.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Returns the processor time that this process took so far, once all threads but this one are gone: what one that still ends has taken
/// is not known to the last.
#[cfg(unix)]
pub(crate) fn processor_time() -> Duration {
    static WAITING: AtomicU64 = AtomicU64::new(0);
    let start = clock(libc::CLOCK_THREAD_CPUTIME_ID);
    while std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() > 1) {
        std::thread::sleep(Duration::from_micros(200));
    }
    let waited = clock(libc::CLOCK_THREAD_CPUTIME_ID) - start;
    // Relaxed: one thread measures.
    let waiting = WAITING.fetch_add(waited.as_nanos() as u64, Ordering::Relaxed);
    clock(libc::CLOCK_PROCESS_CPUTIME_ID).saturating_sub(waited + Duration::from_nanos(waiting))
}

/// Reads a clock of the system.
#[cfg(unix)]
fn clock(which: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes the structure and nothing else.
    let result = unsafe { libc::clock_gettime(which, &raw mut time) };
    assert!(result == 0, "the system has no clock of a process or a thread");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Returns the time that went by: the nearest thing where a process has no clock of its own.
#[cfg(not(unix))]
pub(crate) fn processor_time() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Returns the most bytes of this process that were resident at once, in KiB; 0 where the system does not tell.
pub(crate) fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}
