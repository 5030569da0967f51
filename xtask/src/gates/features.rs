//! Every library crate with no feature, with each feature alone and with all: features only add, so each must build.
//!
//! Clippy rather than `check`, because the usual damage is an import that only some other feature uses.

use super::load;
use crate::report::{Clock, Outcome, Report};
use crate::step::Step;
use crate::workspace::Package;

/// Adds one gate per library crate.
pub(crate) fn gates(report: &mut Report) {
    let workspace = match load() {
        Ok(workspace) => workspace,
        Err(stop) => return report.gate("features", |_| Err(stop)),
    };
    for package in workspace.libraries() {
        report.gate(&format!("features {}", package.name), |clock| matrix(package, clock));
    }
}

fn matrix(package: &Package, clock: Clock) -> Outcome {
    let mut failures = Vec::new();
    for set in sets(package) {
        let step = Step::cargo()
            .args(["clippy", "--quiet", "--no-default-features"])
            .packages([package.name.as_str()]);
        let step = if set.is_empty() { step } else { step.args(["--features", &set]) };
        match step.args(["--", "-D", "warnings"]).run(clock) {
            Err(crate::report::Stop::Failed(_)) => failures.push(format!("[{set}]")),
            other => other?,
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(format!("fails with features {}", failures.join(", ")).into())
    }
}

/// Returns the feature sets to build: none, each alone, all together.
fn sets(package: &Package) -> Vec<String> {
    let features = package.portable_features();
    let mut sets = vec![String::new()];
    sets.extend(features.iter().map(ToString::to_string));
    sets.push(features.join(","));
    sets.dedup();
    sets
}
