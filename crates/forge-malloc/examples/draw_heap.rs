//! Draws the free list of a small heap after each step: where blocks are cut from, and how they grow together again.
//!
//! `cargo run -p forge-malloc --example draw_heap`
#![allow(unsafe_code)]

use std::alloc::Layout;

use forge_malloc::basic::RawAlloc;
use forge_malloc::basic::allocators::ToyHeap;

/// The bytes that one character stands for.
const CELL: usize = 16;

/// The characters of a line.
const CELLS: usize = 32;

fn main() {
    let mut heap = RawAlloc::new(ToyHeap::default());
    let layout = |size| Layout::from_size_align(size, 16).unwrap_or(Layout::new::<u128>());
    let mut start = 0;
    let mut blocks = Vec::new();
    for size in [64, 96, 32, 128, 64] {
        // SAFETY: the block is freed below, before the heap is dropped.
        let block = unsafe { heap.alloc(layout(size)) };
        if start == 0 {
            start = block.addr();
        }
        draw(&heap, start, &format!("alloc {size:>3}"));
        blocks.push((block, size));
    }
    for index in [1, 3, 2, 0, 4] {
        let (block, size) = blocks[index];
        // SAFETY: each block is freed once, with its layout.
        unsafe { heap.dealloc(block, layout(size)) };
        draw(&heap, start, &format!("free  {size:>3}"));
    }
    println!("# used   . free   {CELL} bytes each; {}", heap.blocks());
}

/// Prints a line: what was done, and which of the bytes from `start` on are free.
fn draw(heap: &RawAlloc<ToyHeap>, start: usize, step: &str) {
    let free = |cell: usize| {
        let address = start + cell * CELL;
        heap.blocks().iter().any(|block| {
            let range = block.as_range();
            range.start.addr() <= address && address < range.end.addr()
        })
    };
    let obtained = heap.usage().obtained / CELL;
    let line: String = (0..CELLS.min(obtained)).map(|cell| if free(cell) { '.' } else { '#' }).collect();
    println!("{step}   |{line}|");
}
