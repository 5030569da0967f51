//! Messages about what the allocator did, which cannot make it wait for itself.
//!
//! ```text
//!   lock taken   |  split, merge, ...  -->  notes: a small array, no allocation
//!   lock given back
//!                   notes  -->  log::trace!  -->  the logger, which may allocate
//!                                                    |  such requests are served,
//!                                                    v  but write no messages
//! ```
//!
//! # Invariants
//!
//! - (I1) No logger is called while the lock of an allocator is held.
//! - (I2) No logger is called by a thread that is emitting notes, or that is inside of an [`Unlogged`] logger.
//!
//! # Design
//!
//! A logger formats text and so allocates. Called under the lock, it would wait for the lock that its own thread holds;
//! called by each of its own requests, it would never end. Hence (I1) and (I2), a flag of the thread. One case is left:
//! a logger that a *program* calls, which takes a lock of its own and then allocates, would be called again while it holds
//! that lock. Only the logger can know; so such a logger is wrapped in [`Unlogged`].

use core::cell::Cell;

use log::{Level, LevelFilter, Log, Metadata, Record, trace};

/// The target of the messages, as the seed names it.
const TARGET: &str = "basic_allocator::blocklist";

/// Notes kept of one operation; what comes after them is counted only.
const MOST: usize = 16;

std::thread_local! {
    /// Whether this thread is inside of a logger.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// What the allocator did.
#[derive(Clone, Copy)]
pub(super) enum Note {
    Candidate { address: usize, size: usize },
    Exact { address: usize },
    Split { taken: usize, address: usize, size: usize },
    Merged { address: usize, size: usize },
    Grown { address: usize, size: usize },
    GivenBack { address: usize, size: usize },
}

/// What the allocator did in one operation.
pub(super) struct Notes {
    notes: [Option<Note>; MOST],
    count: usize,
}

impl Notes {
    /// Returns no notes.
    pub(super) const fn new() -> Self {
        Self { notes: [None; MOST], count: 0 }
    }

    /// Adds a note if somebody may want it. O(1).
    #[inline]
    pub(super) fn add(&mut self, note: Note) {
        if log::max_level() < LevelFilter::Trace {
            return;
        }
        if let Some(place) = self.notes.get_mut(self.count) {
            *place = Some(note);
        }
        self.count += 1;
    }

    /// Takes all notes, if there are any.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Self> {
        (self.count > 0).then(|| core::mem::replace(self, Self::new()))
    }

    /// Passes the notes to the logger, unless this thread is inside of one.
    #[cold]
    pub(super) fn emit(self) {
        outside_of_loggers(|| {
            self.notes.iter().flatten().for_each(Note::emit);
            if self.count > MOST {
                trace!(target: TARGET, "and {} more", self.count - MOST);
            }
        });
    }
}

impl Note {
    fn emit(&self) {
        match *self {
            Self::Candidate { address, size } => {
                trace!(target: TARGET, "looking at the block at {address:#x}, {size} bytes");
            }
            Self::Exact { address } => trace!(target: TARGET, "the block at {address:#x} fits exactly"),
            Self::Split { taken, address, size } => {
                let start = address + size - taken;
                trace!(
                    target: TARGET,
                    "splitting {taken} bytes off the block at {address:#x}, {size} bytes: {start:#x}..{:#x}",
                    start + taken
                );
            }
            Self::Merged { address, size } => {
                trace!(target: TARGET, "merged into the block at {address:#x}, {size} bytes");
            }
            Self::Grown { address, size } => {
                trace!(target: TARGET, "the heap grew by {size} bytes at {address:#x}");
            }
            Self::GivenBack { address, size } => {
                trace!(target: TARGET, "gave {size} bytes at {address:#x} back");
            }
        }
    }
}

/// Calls `work` unless this thread is inside of a logger, and is inside of one meanwhile.
fn outside_of_loggers(work: impl FnOnce()) {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            let _ = INSIDE.try_with(|inside| inside.set(false));
        }
    }
    if matches!(INSIDE.try_with(|inside| inside.replace(true)), Ok(false)) {
        let _leave = Leave;
        work();
    }
}

/// A logger during whose calls the allocator writes no messages.
///
/// Wrap a logger in it that holds a lock of its own while it allocates, a `Mutex<Vec<String>>` for example.
///
/// # Examples
///
/// ```
/// use forge_malloc::basic::trace::Unlogged;
/// # struct MyLogger;
/// # impl log::Log for MyLogger {
/// #     fn enabled(&self, _: &log::Metadata<'_>) -> bool { true }
/// #     fn log(&self, _: &log::Record<'_>) {}
/// #     fn flush(&self) {}
/// # }
/// static LOGGER: Unlogged<MyLogger> = Unlogged(MyLogger);
/// log::set_logger(&LOGGER)?;
/// # Ok::<(), log::SetLoggerError>(())
/// ```
#[derive(Debug, Default)]
pub struct Unlogged<L>(pub L);

impl<L: Log> Unlogged<L> {
    /// Calls `work` as a part of the logger, whether this thread is inside of one or not.
    fn inside<R>(&self, work: impl FnOnce(&L) -> R) -> R {
        struct Back(bool);
        impl Drop for Back {
            fn drop(&mut self) {
                let _ = INSIDE.try_with(|inside| inside.set(self.0));
            }
        }
        let _back = Back(INSIDE.try_with(|inside| inside.replace(true)).unwrap_or(true));
        work(&self.0)
    }
}

impl<L: Log> Log for Unlogged<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Trace && self.inside(|logger| logger.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        self.inside(|logger| logger.log(record));
    }

    fn flush(&self) {
        self.inside(Log::flush);
    }
}
