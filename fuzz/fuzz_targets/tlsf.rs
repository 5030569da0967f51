//! Heaps with two levels of segregated lists against a model; see `forge_fuzz::heaps`.
#![no_main]

use forge_fuzz::heaps::{Plan, TLSF, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|plan: Plan| run(&plan, &TLSF));
