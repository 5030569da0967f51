//! The functions of C against a model of every block; see `forge_fuzz::abi`.
#![no_main]

use forge_fuzz::abi::{Plan, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|plan: Plan| run(&plan));
