//! Type checks for the operating systems and word sizes other than this machine's.
//!
//! `cargo check` needs no linker and no foreign C library, so that one machine can hold every port to compiling.

use crate::report::Report;
use crate::rustup;
use crate::step::Step;

const TARGETS: [&str; 6] = [
    "x86_64-pc-windows-gnu",
    "aarch64-apple-darwin",
    "x86_64-apple-darwin",
    "x86_64-unknown-freebsd",
    "aarch64-unknown-linux-gnu",
    "i686-unknown-linux-gnu",
];

/// Adds one gate per target.
pub(crate) fn gates(report: &mut Report) {
    for target in TARGETS {
        report.gate(&format!("target {target}"), |clock| {
            rustup::need_target(target, clock)?;
            let step = Step::cargo().args(["clippy", "--lib", "--target", target]);
            let step = step.packages(["forge-alloc-core", "forge-os", "forge-alloc"]);
            step.args(["--", "-D", "warnings"]).run(clock)
        });
    }
}
