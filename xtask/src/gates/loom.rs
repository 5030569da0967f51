//! Every interleaving of the lock-free code, on the shipped source: integration tests whose name begins with `loom`.
//!
//! A model whose interleavings are out of reach bounds the forced switches between threads itself, where the reader of the
//! model sees it. The gate bounds the time: a model that does not end is a loud skip, never a silent pass, which is what
//! loom's own time limit would make of it.

use std::time::Duration;

use super::load;
use crate::report::{Report, Stop};
use crate::step::{Step, side_target};

/// Crates that have lock-free code, each with its own models.
const CRATES: [&str; 3] = ["forge-alloc-core", "forge-alloc", "forge-malloc"];

/// The longest that the models of one crate may take, with the build.
const LIMIT: Duration = Duration::from_secs(300);

/// Adds one gate per crate.
pub(crate) fn gates(report: &mut Report) {
    for name in CRATES {
        report.deep_gate(&format!("loom {name}"), Duration::from_secs(60), |clock| {
            let workspace = load()?;
            let package = super::libraries(&workspace, &[name])?[0];
            let models: Vec<&str> =
                package.tests.iter().map(String::as_str).filter(|test| test.starts_with("loom")).collect();
            if models.is_empty() {
                return Err(Stop::Failed(format!(
                    "crates/{name}/tests has no loom.rs: its atomics are not modelled"
                )));
            }
            let tests = models.into_iter().flat_map(|model| ["--test", model]);
            let step = Step::cargo().args(["test", "--release", "--package", name]).args(tests);
            step.env("RUSTFLAGS", "--cfg loom")
                .env("CARGO_TARGET_DIR", side_target("loom"))
                .run(clock.at_most(LIMIT))
        });
    }
}
