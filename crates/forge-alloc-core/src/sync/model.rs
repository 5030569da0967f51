//! The primitives of loom.

#[cfg(feature = "alloc")]
pub use loom::sync::Arc;
pub use loom::sync::atomic;

/// Cells that unsafe code shares.
pub mod cell {
    pub use loom::cell::{Cell, UnsafeCell};
}

/// What a thread does while it waits.
pub mod hint {
    pub use loom::hint::spin_loop;
    pub use loom::thread::yield_now;

    /// The longest pause between two looks at a held lock: every hint is a branch that the model explores.
    pub const LONGEST_PAUSE: u32 = 1;
}
