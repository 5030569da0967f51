use super::*;

const STATUS: &str =
    "Name:\tforge-lab\nVmPeak:\t    5300 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t1\n";

#[test]
fn fields_are_read_in_bytes() {
    assert_eq!(field_bytes(STATUS, "VmHWM:"), Some(2 << 20));
    assert_eq!(field_bytes(STATUS, "VmRSS:"), Some(1 << 20));
}

#[test]
fn an_absent_or_unreadable_field_is_absent() {
    assert_eq!(field_bytes(STATUS, "VmSwap:"), None);
    assert_eq!(field_bytes(STATUS, "Threads:"), None);
    assert_eq!(field_bytes("VmRSS: lots kB", "VmRSS:"), None);
}

#[cfg(target_os = "linux")]
#[test]
fn touched_memory_shows_as_growth() {
    let Some(baseline) = Baseline::take() else { return };
    let block = vec![1_u8; 128 << 20];
    let growth = baseline.peak_growth().unwrap();
    assert!(std::hint::black_box(&block).iter().all(|&byte| byte == 1));
    // Other tests of this process may free memory meanwhile, but not as much as half of this.
    assert!(growth >= 64 << 20, "128 MiB touched, {growth} bytes seen");
}
