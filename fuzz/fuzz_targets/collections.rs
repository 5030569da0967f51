//! Collections over arenas against those of `std`; see `forge_fuzz::collections`.
#![no_main]

use forge_fuzz::collections::{Program, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|program: Program| run(&program));
