//! The README's test command, and the same tests with every portable feature.

use super::load;
use crate::report::Report;
use crate::step::Step;
use crate::workspace::Workspace;

/// Adds the gates `test` and `test (portable features)`.
pub(crate) fn gates(report: &mut Report) {
    report.gate("test", |clock| Step::cargo().args(["test", "--workspace"]).run(clock));
    report.gate("test (portable features)", |clock| {
        let workspace = load()?;
        let names = workspace.libraries().into_iter().map(|package| package.name.as_str());
        let features = Workspace::all_portable(&workspace.libraries());
        Step::cargo().args(["test"]).packages(names).args(features).run(clock)
    });
}
