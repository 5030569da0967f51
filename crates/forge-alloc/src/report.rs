//! Every message about misuse or corruption that a building block has detected, and what happens then.
//!
//! | detected | what happens |
//! |---|---|
//! | a link of a free list was overwritten | debug builds panic; others count it and go on without the list |
//! | a free of what the block never issued | debug builds panic; others count it and leave everything alone |
//! | a [`Misuse`] | the hook is called, the message is printed, the process ends |
//! | a handler of a watermark that unwinds | the message is printed, the process ends |
//!
//! # Design
//!
//! One place, so that a message is worded once, can be searched for, and is what its test expects. A panic in a debug
//! build is for the author of the mistake; a release build never unwinds out of an allocator. It ends the process where
//! the user of the block has asked for that, or where going on would corrupt memory.
//!
//! The hook is one word of the process and not a parameter of each block: it is for what a program does with every
//! misuse (count it, log it, write a dump), and it costs nothing until there is one. It cannot keep the process alive,
//! because the memory of the process is not to be trusted any more; for the same reason it should not allocate. A hook
//! that unwinds is stopped by an abort. The word orders no other memory, so it is one of `core`'s atomics under model
//! checking as well.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering};

/// Reports a link of a free list that was overwritten. The caller has counted it and dropped the list.
#[cold]
#[inline(never)]
pub(crate) fn freelist_corruption() {
    debug_assert!(
        release(),
        "Slab freelist corruption: a free slot was written to; look for a use after free"
    );
}

/// Reports a free of a pointer that is no slot which was issued. The caller has counted it and ignores the free.
#[cold]
#[inline(never)]
pub(crate) fn foreign_free() {
    debug_assert!(
        release(),
        "free of a pointer outside slab range, or inside of a slot, or to a slot that was never issued"
    );
}

/// Returns whether this build goes on where a debug build panics.
const fn release() -> bool {
    !cfg!(debug_assertions)
}

/// What was detected, where a block ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misuse {
    /// A pointer was freed that the slab did not issue.
    ForeignFree,
    /// A slot was freed that is free.
    DoubleFree,
    /// The link in a free slot was overwritten.
    FreelistCorruption,
    /// A secondary allocator moved a block into the range of the primary.
    SecondaryOverlap,
    /// The word before a block was overwritten.
    CanaryBefore,
    /// The word behind a block was overwritten.
    CanaryBehind,
    /// The header in front of a block was overwritten.
    HeaderOverwritten,
    /// A block was freed with another size or alignment than it has.
    WrongLayout,
    /// A block was written to after it was freed.
    WriteAfterFree,
    /// A block was freed that is in quarantine.
    FreeInQuarantine,
}

impl Misuse {
    /// Returns the line that is printed, without its line end.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::ForeignFree => "forge-alloc: free of a pointer that this slab did not issue",
            Self::DoubleFree => "forge-alloc: double free of a slab slot",
            Self::FreelistCorruption => {
                "forge-alloc: Slab freelist corruption: a free slot was written to; look for a use after free"
            }
            Self::SecondaryOverlap => {
                "forge-alloc: a secondary allocator moved a block into the range of the primary"
            }
            Self::CanaryBefore => {
                "forge-alloc: canary corruption: the pre-canary of a block was overwritten; look for a write before it"
            }
            Self::CanaryBehind => {
                "forge-alloc: canary corruption: the post-canary of a block was overwritten; look for a write past its end"
            }
            Self::HeaderOverwritten => {
                "forge-alloc: prefix header MAC failed: the bytes in front of a block were overwritten, or it was never issued"
            }
            Self::WrongLayout => {
                "forge-alloc: a block was freed with another size or alignment than it was allocated with"
            }
            Self::WriteAfterFree => "forge-alloc: a block was written to after it was freed",
            Self::FreeInQuarantine => "forge-alloc: double free of a block that is in quarantine",
        }
    }
}

/// A misuse and the block that it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MisuseEvent {
    /// What was detected.
    pub misuse: Misuse,
    /// The address of the block, as it was passed in.
    pub address: usize,
}

/// What is called before the process ends; null for nothing.
static HOOK: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Sets what is called, on the thread that noticed it, with each [`Misuse`] before its message is printed and the process
/// ends; `None` for nothing. O(1).
///
/// The hook should not allocate: it runs inside an allocator whose memory was overwritten. One that unwinds is stopped by
/// an abort.
///
/// # Examples
///
/// ```
/// forge_alloc::set_misuse_hook(Some(|event| eprintln!("{:?} at {:#x}", event.misuse, event.address)));
/// ```
pub fn set_misuse_hook(hook: Option<fn(MisuseEvent)>) {
    let word = hook.map_or(ptr::null_mut(), |hook| hook as *mut ());
    // Relaxed: code is not published by the word.
    HOOK.store(word, Ordering::Relaxed);
}

/// Calls the hook, prints the message of `misuse`, and ends the process.
#[cold]
#[inline(never)]
fn end(misuse: Misuse, address: usize) -> ! {
    let hook = HOOK.load(Ordering::Relaxed);
    if !hook.is_null() {
        // SAFETY: a word that is not null was a function of this type.
        let hook = unsafe { core::mem::transmute::<*mut (), fn(MisuseEvent)>(hook) };
        without_unwinding(misuse.message(), || hook(MisuseEvent { misuse, address }));
    }
    forge_os::fatal(&[misuse.message()])
}

/// Calls a handler of a watermark, and ends the process if it unwinds.
pub(crate) fn call_watermark_handler(call: impl FnOnce()) {
    without_unwinding("forge-alloc: a handler of a watermark panicked inside of an allocator", call);
}

/// Calls a function of the program, and ends the process with `message` if it unwinds.
#[inline]
fn without_unwinding(message: &'static str, call: impl FnOnce()) {
    let stop = EndOnUnwind(message);
    call();
    core::mem::forget(stop);
}

/// Ends the process with the message when it is dropped.
struct EndOnUnwind(&'static str);

impl Drop for EndOnUnwind {
    fn drop(&mut self) {
        forge_os::fatal(&[self.0])
    }
}

/// Ends the process because a foreign lock unwinds out of an allocator.
#[cfg(feature = "lock_api")]
#[cold]
#[inline(never)]
pub(crate) fn fatal_unwinding_lock() -> ! {
    forge_os::fatal(&["forge-alloc: a lock of `lock_api` has panicked inside an allocator"])
}

/// Ends the process because the owners of an object cache cannot be counted any more: handles were forgotten.
#[cold]
#[inline(never)]
pub(crate) fn fatal_too_many_handles() -> ! {
    forge_os::fatal(&[
        "forge-alloc: an object cache has too many handles; look for handles that are forgotten",
    ])
}

/// Writes the function that reports one misuse of the block at a pointer.
macro_rules! fatal {
    ($($(#[$gate:meta])* $name:ident: $misuse:ident, $when:literal;)*) => {$(
        #[doc = concat!("Ends the process ", $when, ".")]
        $(#[$gate])*
        #[cold]
        #[inline(never)]
        pub(crate) fn $name(block: NonNull<u8>) -> ! {
            end(Misuse::$misuse, block.addr().get())
        }
    )*};
}

fatal! {
    fatal_foreign_free: ForeignFree, "at a free of a pointer that is no slot which was issued";
    fatal_double_free: DoubleFree, "at a free of a slot that is free";
    fatal_freelist: FreelistCorruption, "at an allocation that meets an overwritten link";
    fatal_secondary_overlap: SecondaryOverlap, "when a secondary allocator has moved a block into the range of the primary";
    fatal_canary_before: CanaryBefore, "at a free of a block whose word in front was overwritten";
    fatal_canary_behind: CanaryBehind, "at a free of a block whose word behind was overwritten";
    fatal_header: HeaderOverwritten, "at a free of a block whose header was overwritten";
    fatal_wrong_layout: WrongLayout, "at a free with another layout than that of the block";
    fatal_write_after_free: WriteAfterFree, "when a free block no longer holds what it was filled with";
    fatal_free_in_quarantine: FreeInQuarantine, "at a free of a block that was freed before and is held back";
}
