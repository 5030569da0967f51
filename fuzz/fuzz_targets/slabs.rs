//! Slabs against the shadow model; see `forge_fuzz::slabs`.
#![no_main]

use forge_fuzz::slabs::{Plan, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|plan: Plan| run(&plan));
