//! The tests in the Miri interpreter, which finds undefined behaviour: aliasing, provenance, uninitialised reads, races.
//!
//! Strict provenance and symbolic alignment are always on. The full form takes all tests, for an hour, and offers the other
//! aliasing model and other word sizes and byte orders (`--target i686-unknown-linux-gnu`, `--target
//! s390x-unknown-linux-gnu`). The quick form, which `ci` runs, takes what finds most in minutes: the [`QUICK`] table.

use std::time::Duration;

use crate::report::Report;
use crate::rustup;
use crate::step::{Step, side_target};

const FLAGS: &str = "-Zmiri-strict-provenance -Zmiri-symbolic-alignment-check";

/// Crates whose tests the full form interprets.
const FULL: [&str; 3] = ["forge-alloc-core", "forge-alloc", "forge-trace"];

/// The longest that one row of the quick form may take; an idle machine needs less than half of it.
const QUICK_LIMIT: Duration = Duration::from_secs(400);

/// A part of the tests of one crate.
struct Part {
    name: &'static str,
    package: &'static str,
    targets: &'static [&'static str],
    /// Parts of the names of the tests to run; none for all of them.
    only: &'static [&'static str],
    /// Tests to leave out, by their full names or the names of their modules.
    skip: &'static [&'static str],
}

/// The quick form.
const QUICK: [Part; 5] = [
    Part { name: "forge-alloc-core", package: "forge-alloc-core", targets: &["--lib"], only: &[], skip: &[] },
    Part {
        name: "forge-alloc",
        package: "forge-alloc",
        targets: &["--lib"],
        only: &[],
        // Half a minute each or more, and the tests beside them reach the same pointer code.
        skip: &[
            "layout::arena::chunked::tests::chunks_grow_geometrically_and_all_come_back",
            "layout::arena::shared_bump::tests::idle_threads_hold_at_most_an_eighth",
            "layout::arena::shared_bump::tests::one_thread_fills_any_arena_without_a_gap",
            "layout::arena::shared_bump::tests::threads_share_all_of_the_range_and_no_byte",
            // Minutes; the part below takes some of them.
            "layout::slab::extendable",
            "layout::slab::remote",
            "layout::slab::size_classed",
        ],
    },
    Part {
        name: "forge-alloc slabs",
        package: "forge-alloc",
        targets: &["--lib"],
        only: &[
            "extendable::tests::a_block_of_a_segment_that_is_gone",
            "extendable::tests::a_foreign_free",
            "extendable::tests::an_overwritten_link",
            "extendable::tests::blocks_change_their_size",
            "extendable::tests::threads::a_thread_that_ends",
            "remote::tests::a_",
            "remote::tests::the_owner_frees",
            "remote::tests::threads::remotes_may_go_first",
            "size_classed::tests::moves",
            "size_classed::tests::resizes",
        ],
        skip: &[],
    },
    // Random histories against the shadow model, on the blocks whose memory lies inside a value that moves.
    Part {
        name: "forge-alloc conformance",
        package: "forge-alloc",
        targets: &["--test", "conformance"],
        only: &["moves_empty"],
        skip: &[],
    },
    // The model and the replay handle pointers; the file formats are safe code.
    Part {
        name: "forge-trace",
        package: "forge-trace",
        targets: &["--lib"],
        only: &["shadow::", "replay::"],
        skip: &[],
    },
];

/// What to interpret, and how.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    tree_borrows: bool,
    target: Option<String>,
    quick: bool,
}

impl Options {
    /// Returns the bounded form.
    pub(crate) fn quick() -> Self {
        Self { quick: true, ..Self::default() }
    }

    /// Reads the words after `cargo xtask miri`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--tree-borrows" => options.tree_borrows = true,
                "--quick" => options.quick = true,
                "--target" => {
                    let triple = words.next().ok_or("--target needs a triple")?;
                    options.target = Some((*triple).to_string());
                }
                other => return Err(format!("miri has no option `{other}`")),
            }
        }
        Ok(options)
    }

    /// Returns the arguments of `cargo miri test` for all tests of `package`.
    fn all_of(&self, package: &str) -> Vec<String> {
        self.arguments(package, &["--lib", "--tests"])
    }

    /// Returns the arguments of `cargo miri test` for `part`.
    fn part(&self, part: &Part) -> Vec<String> {
        let mut arguments = self.arguments(part.package, part.targets);
        arguments.push("--".into());
        arguments.extend(part.only.iter().map(ToString::to_string));
        arguments.extend(part.skip.iter().flat_map(|test| ["--skip".into(), (*test).into()]));
        arguments
    }

    fn arguments(&self, package: &str, targets: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> =
            vec!["miri".into(), "test".into(), "--package".into(), package.into()];
        arguments.extend(targets.iter().map(ToString::to_string));
        if let Some(target) = &self.target {
            arguments.extend(["--target".into(), target.clone()]);
        }
        arguments
    }

    fn flags(&self) -> String {
        if self.tree_borrows { format!("{FLAGS} -Zmiri-tree-borrows") } else { FLAGS.into() }
    }
}

/// Adds one gate per crate, or per row of the quick form.
pub(crate) fn gates(report: &mut Report, options: &Options) {
    if options.quick {
        for part in &QUICK {
            part.skip.iter().for_each(|test| println!("left out of the quick form: {test}"));
            gate(report, options, part.name, options.part(part));
        }
    } else {
        for name in FULL {
            gate(report, options, name, options.all_of(name));
        }
    }
}

fn gate(report: &mut Report, options: &Options, name: &str, arguments: Vec<String>) {
    report.deep_gate(&format!("miri {name}"), Duration::from_secs(60), |clock| {
        rustup::need_nightly(&["miri", "rust-src"], clock)?;
        let clock = if options.quick { clock.at_most(QUICK_LIMIT) } else { clock };
        let step = Step::cargo_of("nightly").args(arguments);
        step.env("MIRIFLAGS", options.flags()).env("CARGO_TARGET_DIR", side_target("miri")).run(clock)
    });
}

#[cfg(test)]
mod tests;
