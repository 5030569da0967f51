//! How much resident memory this process has taken, as the kernel counts it.
//!
//! ```text
//!   VmHWM before the replay = baseline        reset through /proc/self/clear_refs, where the kernel allows it
//!   VmHWM after the replay  = baseline + what the contestant made resident
//! ```
//!
//! # Design
//!
//! The kernel keeps the high-water mark of resident memory (`VmHWM`) itself, so nothing is sampled and no peak is missed.
//! Where it cannot be reset, a peak from before the replay could hide the contestant's; that is detected (the baseline
//! mark lies above current residency) and the figure is reported as absent rather than too small. Systems without
//! `/proc` have no figure. Kernels batch the counter by some pages per processor, which bounds the error of a figure by
//! a few hundred KiB.

/// The state before a replay, from which growth is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Baseline {
    resident: u64,
}

impl Baseline {
    /// Resets the high-water mark and takes the current residency as the baseline.
    ///
    /// Returns `None` where the system offers no such figure, or none that can be trusted.
    pub(crate) fn take() -> Option<Self> {
        let _reset = std::fs::write("/proc/self/clear_refs", "5");
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let (resident, peak) = (field_bytes(&status, "VmRSS:")?, field_bytes(&status, "VmHWM:")?);
        (peak <= resident + COUNTER_SLACK).then_some(Self { resident })
    }

    /// Returns by how many bytes residency has at most exceeded the baseline since.
    pub(crate) fn peak_growth(self) -> Option<u64> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        Some(field_bytes(&status, "VmHWM:")?.saturating_sub(self.resident))
    }
}

/// By how much a fresh high-water mark may exceed the residency read beside it: the kernel's batching.
const COUNTER_SLACK: u64 = 1 << 20;

/// Returns the value of a `Name:  123 kB` line in bytes.
fn field_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests;
