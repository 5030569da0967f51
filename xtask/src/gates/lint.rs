//! rustfmt, clippy and rustdoc, each with every warning an error.

use super::load;
use crate::report::Report;
use crate::step::Step;
use crate::workspace::Workspace;

/// Adds the gates `lock`, `fmt`, `clippy`, `clippy (portable features)` and `docs`.
pub(crate) fn gates(report: &mut Report) {
    report.gate("lock", |_| load().map(drop));
    report.gate("fmt", |clock| Step::cargo().args(["fmt", "--all", "--", "--check"]).run(clock));
    report.gate("clippy", |clock| {
        Step::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run(clock)
    });
    report.gate("clippy (portable features)", |clock| {
        let features = Workspace::all_portable(&load()?.members());
        let step = Step::cargo().args(["clippy", "--workspace", "--all-targets"]).args(features);
        step.args(["--", "-D", "warnings"]).run(clock)
    });
    report.gate("docs", |clock| {
        let features = Workspace::all_portable(&load()?.members());
        let step = Step::cargo().args(["doc", "--workspace", "--no-deps"]).args(features);
        step.env("RUSTDOCFLAGS", "-D warnings").run(clock)
    });
}
