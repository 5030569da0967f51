//! Buddy heaps against a model; see `forge_fuzz::heaps`.
#![no_main]

use forge_fuzz::heaps::{BUDDY, Plan, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|plan: Plan| run(&plan, &BUDDY));
