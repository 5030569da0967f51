//! The library crates on the oldest supported Rust, with every portable feature.

use super::load;
use crate::report::{Report, Stop};
use crate::rustup;
use crate::step::Step;
use crate::workspace::Workspace;

/// Adds the gate `msrv`.
pub(crate) fn gate(report: &mut Report) {
    report.gate("msrv", |clock| {
        let workspace = load()?;
        let stated = workspace.libraries().into_iter().find_map(|package| package.rust_version.clone());
        let stated = stated.ok_or_else(|| Stop::Failed("no library crate states a rust-version".into()))?;
        let toolchain = if stated.matches('.').count() == 1 { format!("{stated}.0") } else { stated };
        rustup::need_version(&toolchain, clock)?;
        let names = workspace.libraries().into_iter().map(|package| package.name.as_str());
        let features = Workspace::all_portable(&workspace.libraries());
        Step::cargo_of(&toolchain).args(["check", "--lib"]).packages(names).args(features).run(clock)
    });
}
