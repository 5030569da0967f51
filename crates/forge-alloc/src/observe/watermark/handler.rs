//! [`WatermarkHandler`]: what is called when a watermark is reached; the null handler and the closure.
//!
//! # Design
//!
//! A handler runs inside a call of the allocator, on the thread that made it, after the block was taken. It must not unwind:
//! an allocator never does, so a handler that panics ends the process. It should not allocate from the allocator that it
//! watches, which calls it again if that request is refused too.

use super::event::WatermarkEvent;

/// What is done at each level.
pub trait WatermarkHandler: Send + Sync {
    /// Is called when the first threshold is reached. A panic ends the process.
    fn on_warn(&self, event: WatermarkEvent);

    /// Is called when the second threshold is reached. A panic ends the process.
    fn on_critical(&self, event: WatermarkEvent);

    /// Is called when a request is refused. A panic ends the process.
    fn on_oom(&self, event: WatermarkEvent);
}

/// A handler that does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullHandler;

impl WatermarkHandler for NullHandler {
    #[inline]
    fn on_warn(&self, _: WatermarkEvent) {}

    #[inline]
    fn on_critical(&self, _: WatermarkEvent) {}

    #[inline]
    fn on_oom(&self, _: WatermarkEvent) {}
}

/// A handler that calls a function with every event.
#[derive(Clone, Copy, Debug)]
pub struct FnHandler<F>(pub F);

impl<F: Fn(WatermarkEvent) + Send + Sync> WatermarkHandler for FnHandler<F> {
    fn on_warn(&self, event: WatermarkEvent) {
        (self.0)(event);
    }

    fn on_critical(&self, event: WatermarkEvent) {
        (self.0)(event);
    }

    fn on_oom(&self, event: WatermarkEvent) {
        (self.0)(event);
    }
}
