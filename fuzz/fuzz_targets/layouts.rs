//! Layout arithmetic against 128 bits; see `forge_fuzz::layouts`.
#![no_main]

use forge_fuzz::layouts::{Numbers, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|numbers: Numbers| run(&numbers));
