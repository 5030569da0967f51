//! How an attack runs in a process of its own, and what it may do there.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use forge_alloc_core::{Allocator, Deallocator, NonZeroLayout};
use forge_malloc::fast::Attached;

use super::support::{only, signal_of};
use super::{HEAP, Here};

/// The variable that tells this program that it is the process that is attacked, with which size.
pub(crate) const CHILD: &str = "FORGE_ATTACK";

/// The sizes up to the largest slot, and one beyond.
pub(crate) const SIZES: [usize; 12] =
    [1, 8, 16, 24, 128, 1024, 4096, 16 << 10, 32 << 10, 128 << 10, 256 << 10, LARGE];
pub(crate) const LARGE: usize = 4 << 20;

/// What becomes of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It aborts with this line.
    Aborts(&'static str),
    /// It is ended by the fault of an access.
    Faults,
    /// It goes on.
    Lives,
}

/// Runs an attack for each size in a process of its own, which runs only the test `name`, and asserts its end.
pub(crate) fn attack(
    name: &str,
    sizes: &[usize],
    verdict: impl Fn(usize) -> Verdict,
    attack: fn(&Here, usize),
) {
    variant(0, name, sizes, verdict, attack);
}

/// Does what [`attack`] does for one of several attacks of a test, which have different numbers.
pub(crate) fn variant(
    number: usize,
    name: &str,
    sizes: &[usize],
    verdict: impl Fn(usize) -> Verdict,
    attack: fn(&Here, usize),
) {
    use Verdict::{Aborts, Faults, Lives};
    if let Some(which) = std::env::var_os(CHILD) {
        let (asked, size) = which.to_str().unwrap().split_once(' ').unwrap();
        if asked == number.to_string() {
            attack(&Attached::new(&HEAP), size.parse().unwrap());
            eprintln!("it went on");
            // Nothing is cleaned up: the heap may be as the attack left it.
            std::process::exit(0);
        }
        return;
    }
    for &size in sizes {
        let output = only(name).env(CHILD, format!("{number} {size}")).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let (signal, code) = (signal_of(output.status), output.status.code());
        let expected = verdict(size);
        let right = match expected {
            Aborts(message) => signal == Some(libc::SIGABRT) && errors.lines().any(|line| line == message),
            Faults => matches!(signal, Some(libc::SIGSEGV | libc::SIGBUS)),
            Lives => code == Some(0) && errors.lines().any(|line| line == "it went on"),
        };
        assert!(right, "{size} bytes: {expected:?}, but {signal:?} {code:?}: {errors}");
    }
}

pub(crate) fn layout(size: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, 1).unwrap()
}

pub(crate) fn take(here: &Here, size: usize) -> NonNull<u8> {
    here.allocate(layout(size)).unwrap().cast()
}

/// Frees what may be no live block.
pub(crate) fn free(here: &Here, block: NonNull<u8>, size: usize) {
    // SAFETY: none where it is the attack, which ends the process or is asserted to have no effect.
    unsafe { here.deallocate(block, layout(size)) };
}

/// Returns the address `offset` bytes from a block, without a promise that anything is there.
pub(crate) fn beside(block: NonNull<u8>, offset: isize) -> NonNull<u8> {
    NonNull::new(block.as_ptr().wrapping_offset(offset)).unwrap()
}

/// Writes a byte where none may be written.
pub(crate) fn poke(block: NonNull<u8>, offset: isize, value: u8) {
    // SAFETY: none; the memory is the heap's or a guard, and the process is this test's.
    unsafe { block.as_ptr().wrapping_offset(offset).write_volatile(value) };
}

pub(crate) fn peek(block: NonNull<u8>, offset: usize) -> u8 {
    // SAFETY: as in `poke`.
    unsafe { block.as_ptr().wrapping_add(offset).read_volatile() }
}

pub(crate) fn small_or(small: Verdict, large: Verdict) -> impl Fn(usize) -> Verdict {
    move |size| if size == LARGE { large } else { small }
}
