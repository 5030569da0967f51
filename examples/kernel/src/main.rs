//! A kernel that boots.
#![no_std]
#![no_main]

extern crate alloc;

mod boot;
mod machine;
mod memory_functions;
mod start_info;

use machine::{Status, exit};

/// The first Rust.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(start_information: usize) -> ! {
    line!("forge kernel: started");
    // SAFETY: the boot code passes what the emulator gave it.
    for entry in unsafe { start_info::memory_map(start_information) } {
        line!("{:#x} {:#x} {}", entry.start, entry.size, entry.is_memory());
    }
    exit(Status::Success)
}

#[panic_handler]
fn panic(information: &core::panic::PanicInfo) -> ! {
    line!("forge kernel: {information}");
    exit(Status::Failure)
}

#[global_allocator]
static HEAP: Null = Null;
struct Null;
unsafe impl core::alloc::GlobalAlloc for Null { unsafe fn alloc(&self, _: core::alloc::Layout) -> *mut u8 { core::ptr::null_mut() } unsafe fn dealloc(&self, _: *mut u8, _: core::alloc::Layout) {} }
