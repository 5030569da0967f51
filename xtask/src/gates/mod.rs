//! One file per kind of check; each adds its rows to the report.

pub(crate) mod counts;
pub(crate) mod cross;
pub(crate) mod deny;
pub(crate) mod features;
pub(crate) mod installed;
pub(crate) mod kernel;
pub(crate) mod lint;
pub(crate) mod loom;
pub(crate) mod miri;
pub(crate) mod msrv;
pub(crate) mod no_std;
pub(crate) mod preload;
pub(crate) mod sanitize;
mod spdx;
pub(crate) mod targets;
pub(crate) mod test;

use crate::report::{Report, Stop};
use crate::workspace::{Package, Workspace};

/// Everything, in the order of usefulness: what every change needs first, the deep gates last.
pub(crate) fn ci(report: &mut Report) {
    crate::tidy::gate(report);
    lint::gates(report);
    test::gates(report);
    no_std::gates(report);
    targets::gates(report);
    features::gates(report);
    msrv::gate(report);
    deny::gate(report);
    kernel::gate(report);
    counts::gate(report);
    loom::gates(report);
    preload::gates(report);
    miri::gates(report, &miri::Options::quick());
    sanitize::gates(report, &["address"]);
    cross::gates(report, &cross::ALL);
}

/// Loads the workspace for a gate.
fn load() -> Result<Workspace, Stop> {
    Workspace::load().map_err(Stop::Failed)
}

/// Returns the library crates of these names; fails if one of them is not a member.
fn libraries<'a>(workspace: &'a Workspace, names: &[&str]) -> Result<Vec<&'a Package>, Stop> {
    let find = |name: &&str| {
        let found = workspace.libraries().into_iter().find(|package| package.name == **name);
        found.ok_or_else(|| Stop::Failed(format!("the workspace has no library crate `{name}`")))
    };
    names.iter().map(find).collect()
}
