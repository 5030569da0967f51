//! Readers of trace files against their writers; see `forge_fuzz::traces`.
#![no_main]

use forge_fuzz::traces::run;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| run(file));
