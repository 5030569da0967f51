//! What a watermark reports, and when.

use forge_alloc_core::NonZeroLayout;

/// How full the allocator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatermarkLevel {
    /// The first threshold was reached.
    Warn,
    /// The second threshold was reached.
    Critical,
    /// A request was refused.
    Oom,
}

/// The thresholds of the two levels, in percent of the capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WatermarkThresholds {
    /// From this share on the use is worth a warning.
    pub warn_pct: u8,
    /// From this share on it is critical.
    pub critical_pct: u8,
}

impl WatermarkThresholds {
    /// 75 % and 90 %.
    pub(super) const USUAL: Self = Self { warn_pct: 75, critical_pct: 90 };
}

impl Default for WatermarkThresholds {
    /// Returns 75 % and 90 %.
    fn default() -> Self {
        Self::USUAL
    }
}

/// One report.
#[derive(Clone, Copy, Debug)]
pub struct WatermarkEvent {
    /// Which level was reached.
    pub level: WatermarkLevel,
    /// How many bytes are used, the block that made the report included.
    pub allocated_bytes: usize,
    /// The capacity of the allocator in bytes; 0 if it has no bound.
    pub capacity_bytes: usize,
    /// What was asked for, if the request was refused.
    pub requested_layout: Option<NonZeroLayout>,
}
