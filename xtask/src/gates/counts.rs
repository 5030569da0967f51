//! Instruction counts of the hot paths against the committed baseline: the gate on speed that noise does not reach.
//!
//! The benchmark crate counts under valgrind and compares. Counts of another compiler are printed and judged by nobody.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::report::{Report, Stop};
use crate::step::Step;

/// The longest that counting may take, with the build of the benchmark crate.
const LIMIT: Duration = Duration::from_secs(240);

/// Adds the gate `counts`.
pub(crate) fn gate(report: &mut Report) {
    report.deep_gate("counts", Duration::from_secs(60), |clock| {
        let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
        if valgrind.is_err() {
            return Err(Stop::Skipped("valgrind is not installed, so no instruction was counted".into()));
        }
        let command = ["run", "--release", "--package", "forge-benches", "--bin", "instructions"];
        Step::cargo().args(command).run(clock.at_most(LIMIT))
    });
}
