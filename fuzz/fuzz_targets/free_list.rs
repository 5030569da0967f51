//! Heaps with one list by address against a model; see `forge_fuzz::heaps`.
#![no_main]

use forge_fuzz::heaps::{FREE_LIST, Plan, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|plan: Plan| run(&plan, &FREE_LIST));
