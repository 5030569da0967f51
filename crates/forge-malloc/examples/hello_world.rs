//! A program on the teaching allocator: greets, fills a vector with a million numbers, and shows what the heap looks like.
//!
//! `cargo run -p forge-malloc --example hello_world`

use forge_malloc::basic::UnixAllocator;

#[global_allocator]
static ALLOCATOR: UnixAllocator = UnixAllocator::new();

fn main() {
    println!("Hello, world!");
    let mut numbers = Vec::new();
    for number in 0..1_048_576_u32 {
        numbers.push(number);
    }
    let (validity, stats) = ALLOCATOR.stats();
    println!("{} numbers; {validity:?}; {stats}", numbers.len());
    println!("{:?}", ALLOCATOR.usage());
}
