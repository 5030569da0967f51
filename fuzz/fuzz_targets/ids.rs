//! Allocators of ids against a list of the units; see `forge_fuzz::runs`.
#![no_main]

use forge_fuzz::runs::{IDS, Plan, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|plan: Plan| run(&plan, &IDS));
