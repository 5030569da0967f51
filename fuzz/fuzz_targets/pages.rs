//! Allocators of pages against a list of the units; see `forge_fuzz::runs`.
#![no_main]

use forge_fuzz::runs::{PAGES, Plan, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|plan: Plan| run(&plan, &PAGES));
