//! Slab heaps against a model; see `forge_fuzz::heaps`.
#![no_main]

use forge_fuzz::heaps::{Plan, SLAB_HEAP, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|plan: Plan| run(&plan, &SLAB_HEAP));
