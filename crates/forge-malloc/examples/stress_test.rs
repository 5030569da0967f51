//! Allocates and frees at random, and checks the free blocks after every step.
//!
//! `cargo run --release -p forge-malloc --example stress_test -- [STEPS] [MIN_ALLOCATIONS] [LOG2_MAX_SIZE]`

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use forge_malloc::basic::UnixAllocator;

#[global_allocator]
static ALLOCATOR: UnixAllocator = UnixAllocator::new();

const HELP: &str = "\
usage: stress_test [STEPS] [MIN_ALLOCATIONS] [LOG2_MAX_SIZE]

  STEPS            allocations and frees, 65536 unless told
  MIN_ALLOCATIONS  live objects before the first free, 1024 unless told
  LOG2_MAX_SIZE    sizes are below 2 to this power, 20 unless told; at most 30
";

/// How many steps lie between two lines of progress.
const PROGRESS: usize = 1024;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let mut numbers = [65_536, 1024, 20];
    for (index, word) in words.iter().enumerate() {
        match (numbers.get_mut(index), word.parse()) {
            (Some(number), Ok(value)) => *number = value,
            _ => {
                eprint!("cannot use `{word}`\n\n{HELP}");
                return ExitCode::from(2);
            }
        }
    }
    let [steps, least, log2] = numbers;
    run(steps, least, log2.min(30))
}

/// Runs the steps and then frees everything.
fn run(steps: usize, least: usize, log2: usize) -> ExitCode {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_nanos() as u64 | 1);
    println!("seed {seed:#x}");
    let mut random = Random(seed);
    let mut objects: Vec<Vec<u8>> = Vec::new();
    let (mut bytes, mut run, mut allocate) = (0, 0, true);
    for step in 0..steps {
        if run == 0 {
            run = 1 + random.below(256);
            allocate = !allocate;
        }
        run -= 1;
        if allocate || objects.len() <= least {
            let object = Vec::with_capacity(random.size(log2));
            bytes += object.capacity();
            objects.push(object);
        } else {
            let object = objects.swap_remove(random.below(objects.len()));
            bytes -= object.capacity();
        }
        if !ALLOCATOR.validate() {
            return failed(step);
        }
        if step % PROGRESS == 0 {
            let (_, stats) = ALLOCATOR.stats();
            println!(
                "step {step}: {} objects, {bytes} bytes; {stats}; {run} more of this kind",
                objects.len()
            );
        }
    }
    while !objects.is_empty() {
        objects.swap_remove(random.below(objects.len()));
        if !ALLOCATOR.validate() {
            return failed(steps);
        }
    }
    println!("every step left the free blocks in order; {:?}", ALLOCATOR.usage());
    ExitCode::SUCCESS
}

fn failed(step: usize) -> ExitCode {
    eprintln!("step {step}: the free blocks are not in order: {:?}", ALLOCATOR.stats().0);
    ExitCode::FAILURE
}

/// Xorshift numbers (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Returns a size below 2 to the power of `log2`, small ones as often as large ones.
    fn size(&mut self, log2: usize) -> usize {
        let bits = self.below(log2 + 1);
        self.below(1 << bits)
    }
}
