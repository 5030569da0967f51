//! Asks the operating system for memory, as the teaching allocator does when it has none.
//!
//! `cargo run -p forge-malloc --example grow_heap`
#![allow(unsafe_code)]

use forge_malloc::basic::{HeapGrower, MmapHeapGrower};

fn main() {
    let mut grower = MmapHeapGrower;
    // SAFETY: nothing is done with the memory.
    match unsafe { grower.grow_heap(8) } {
        Ok((start, size)) => {
            println!("asked for 8 bytes, got {size} at {start:p} ({})", start.addr());
        }
        Err(error) => println!("no memory: {error:?}"),
    }
}
