//! Builds for machines without an operating system, with and without the `alloc` crate and the kernel family.
//!
//! | target | why |
//! |---|---|
//! | `thumbv7em-none-eabihf` | the usual microcontroller: atomics, 32 bits |
//! | `thumbv6m-none-eabi` | loads and stores are atomic, compare-and-swap is not there |
//! | `riscv32i-unknown-none-elf` | the smallest: as above, on another architecture |
//! | `riscv64gc-unknown-none-elf` | a kernel's machine, 64 bits |
//! | `wasm32-unknown-unknown` | no pages to map |

use super::load;
use crate::report::Report;
use crate::rustup;
use crate::step::Step;
use crate::workspace::Package;

const TARGETS: [&str; 5] = [
    "thumbv7em-none-eabihf",
    "thumbv6m-none-eabi",
    "riscv32i-unknown-none-elf",
    "riscv64gc-unknown-none-elf",
    "wasm32-unknown-unknown",
];

/// Crates that must build without the standard library.
const CRATES: [&str; 3] = ["forge-alloc-core", "forge-os", "forge-alloc"];

/// Crates that must build with no more than the `alloc` crate.
const CRATES_WITH_ALLOC: [&str; 4] = ["forge-alloc-core", "forge-os", "forge-alloc", "forge-trace"];

/// Adds one gate per target.
pub(crate) fn gates(report: &mut Report) {
    let workspace = match load() {
        Ok(workspace) => workspace,
        Err(stop) => return report.gate("no-std", |_| Err(stop)),
    };
    for target in TARGETS {
        report.gate(&format!("no-std {target}"), |clock| {
            let packages = super::libraries(&workspace, &CRATES_WITH_ALLOC)?;
            rustup::need_target(target, clock)?;
            let step = || Step::cargo().args(["build", "--lib", "--no-default-features", "--target", target]);
            step().packages(CRATES).run(clock)?;
            step().packages(CRATES_WITH_ALLOC).args(with_alloc(&packages)).run(clock)
        });
    }
}

/// Returns the option that switches `alloc` and the kernel family on in every crate that has them.
fn with_alloc(packages: &[&Package]) -> Vec<String> {
    let having = |feature: &'static str| {
        let packages = packages.iter().filter(move |package| package.features.contains_key(feature));
        packages.map(move |package| format!("{}/{feature}", package.name))
    };
    let features: Vec<String> =
        ["alloc", "bitmap", "buddy", "slab", "tlsf"].into_iter().flat_map(having).collect();
    if features.is_empty() { Vec::new() } else { vec!["--features".into(), features.join(",")] }
}
