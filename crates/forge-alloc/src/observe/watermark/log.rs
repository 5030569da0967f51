//! Handlers that write: [`LogHandler`] to the standard error output, [`LogCrateHandler`] to the `log` crate.

use super::event::WatermarkEvent;
use super::handler::WatermarkHandler;

/// A handler that writes each event as one line to the standard error output, in one write and without allocating.
///
/// A line begins with `[forge-alloc] watermark`, a space, `WARN`, `CRITICAL` or `OOM`, and a colon. A line that cannot be
/// written is lost.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, Default)]
pub struct LogHandler;

#[cfg(feature = "std")]
impl LogHandler {
    fn write(event: &WatermarkEvent) {
        use std::io::Write;

        // There is nobody to tell that the line was lost.
        let _ = std::io::stderr().write_all(super::line::Line::new(event).as_bytes());
    }
}

#[cfg(feature = "std")]
impl WatermarkHandler for LogHandler {
    fn on_warn(&self, event: WatermarkEvent) {
        Self::write(&event);
    }

    fn on_critical(&self, event: WatermarkEvent) {
        Self::write(&event);
    }

    fn on_oom(&self, event: WatermarkEvent) {
        Self::write(&event);
    }
}

/// A handler that passes each event to the `log` crate, under the target `forge_alloc::watermark`: a warning as `warn`, the
/// other levels as `error`.
///
/// A logger may allocate. The handler is therefore not for an allocator that lies beneath the process's own global
/// allocator: the logger would call the allocator that is calling it.
#[cfg(feature = "log")]
#[derive(Clone, Copy, Debug, Default)]
pub struct LogCrateHandler;

#[cfg(feature = "log")]
const TARGET: &str = "forge_alloc::watermark";

#[cfg(feature = "log")]
impl WatermarkHandler for LogCrateHandler {
    fn on_warn(&self, event: WatermarkEvent) {
        ::log::warn!(target: TARGET, "{}", super::text::Text(&event));
    }

    fn on_critical(&self, event: WatermarkEvent) {
        ::log::error!(target: TARGET, "critical: {}", super::text::Text(&event));
    }

    fn on_oom(&self, event: WatermarkEvent) {
        ::log::error!(target: TARGET, "{}", super::text::Text(&event));
    }
}
