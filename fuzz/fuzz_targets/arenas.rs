//! Arenas over any backing against the shadow model; see `forge_fuzz::arenas`.
#![no_main]

use forge_fuzz::arenas::{Plan, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|plan: Plan| run(&plan));
