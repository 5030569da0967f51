//! Wrappers against the shadow model; see `forge_fuzz::wrappers`.
#![no_main]

use forge_fuzz::wrappers::{Plan, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|plan: Plan| run(&plan));
