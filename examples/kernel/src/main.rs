//! A kernel that manages its memory with forge-alloc: it boots, uses what it has in every way that a kernel does, prints its
//! figures on the serial port, and ends the emulator with a status.
//!
//! | step | what it shows |
//! |---|---|
//! | memory map | pages from spans with holes |
//! | collections | `Box`, `Vec`, `String`, `BTreeMap` on the global allocator |
//! | tasks | numbers from an id allocator, the lowest free one first |
//! | exhaustion | an error in place of memory, and all memory back after it |
//! | figures | what is used at the end is what was used at the start |
#![no_std]
#![no_main]
#![allow(unsafe_code)]

extern crate alloc;

mod boot;
mod machine;
mod memory;
mod memory_functions;
mod start_info;
mod tasks;
mod trials;

use forge_alloc::kernel::{ByteAllocator, Occupancy, PageAllocator};

use machine::{Status, exit};
use memory::{Heap, PAGE, PAGES};

#[global_allocator]
static HEAP: Heap = Heap::new();

unsafe extern "C" {
    /// The end of the kernel's own memory, from the linker script.
    static kernel_end: u8;
}

/// Where Rust begins.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(start_information: usize) -> ! {
    line!("forge kernel: started");
    forge_alloc::set_misuse_hook(Some(|event| {
        line!("forge kernel: {} ({:#x})", event.misuse.message(), event.address);
        exit(Status::Failure)
    }));
    take_memory(start_information);
    let before = figures("at the start");
    trials::collections();
    tasks::run();
    trials::exhaustion(&HEAP);
    trials::alignment();
    figures("after the trials");
    line!("given back: {} KiB of empty regions", HEAP.release_empty() / 1024);
    let after = figures("at the end");
    assert_eq!(before, after, "pages were lost");
    line!("forge kernel: success");
    exit(Status::Success)
}

/// Hands the memory of the machine to the page allocator.
fn take_memory(start_information: usize) {
    // SAFETY: the boot code passes what the emulator gave it.
    let map = unsafe { start_info::memory_map(start_information) };
    let end = (&raw const kernel_end).addr();
    for entry in map {
        let kind = if entry.is_memory() { "memory" } else { "reserved" };
        line!("  {:#014x} {:8} KiB {kind}", entry.start, entry.size / 1024);
        if entry.is_memory() {
            // SAFETY: the map says that this is memory; the kernel ends below `end`, and nothing else runs here.
            if let Err(error) = unsafe { PAGES.add(entry, end) } {
                line!("  left alone: {error}");
            }
        }
    }
    assert!(PAGES.with(|pages| pages.total_pages()) > 0, "the memory map has no page for the kernel");
}

/// Prints how much of everything is used, and returns the number of used pages.
fn figures(when: &str) -> usize {
    let (used, total) = PAGES.with(|pages| (pages.used_pages(), pages.total_pages()));
    line!("{when}:");
    line!("  pages  {used:6} of {total} in use, {} KiB free", (total - used) * PAGE / 1024);
    let small = HEAP.small.inner().lock();
    line!("  small  {:6} of {} KiB in use", small.used_bytes() / 1024, small.total_bytes() / 1024);
    drop(small);
    let large = HEAP.large.inner().lock();
    line!("  large  {:6} of {} KiB in use", large.used_bytes() / 1024, large.total_bytes() / 1024);
    if large.total_bytes() > 0 {
        line!("{}", Occupancy::of(&*large).width(64));
    }
    used
}

#[panic_handler]
fn panic(information: &core::panic::PanicInfo<'_>) -> ! {
    line!("forge kernel: {information}");
    exit(Status::Failure)
}
