//! The tests in the Miri interpreter, which finds undefined behaviour: aliasing, provenance, uninitialised reads, races.
//!
//! Strict provenance and symbolic alignment are on, except for the heaps, which are handed bytes and addresses. The full form takes all tests, for an hour, and offers the other
//! aliasing model and other word sizes and byte orders (`--target i686-unknown-linux-gnu`, `--target
//! s390x-unknown-linux-gnu`). The quick form, which `ci` runs, takes what finds most in minutes: the [`QUICK`] table.

use std::time::Duration;

use crate::report::Report;
use crate::rustup;
use crate::step::{Step, side_target};

const STRICT: &str = "-Zmiri-strict-provenance -Zmiri-symbolic-alignment-check";

/// For memory made of integer addresses, and aligned by arithmetic alone, neither of which the strict flags have a word for.
const OF_ADDRESSES: &str = "-Zmiri-permissive-provenance";

/// Modules whose tests use such memory, as kernels do.
const HEAPS: [&str; 2] = ["layout::heap::", "share::"];

/// The full form.
const FULL: [Part; 5] = [
    Part::of("forge-alloc-core").targets(&["--lib", "--tests"]),
    Part::of("forge-alloc").targets(&["--lib", "--tests"]).skip(&HEAPS),
    Part::of("forge-alloc").named("forge-alloc heaps").only(&HEAPS).addresses(),
    Part::of("forge-malloc").addresses(),
    Part::of("forge-trace").targets(&["--lib", "--tests"]),
];

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
    /// Whether they take [`OF_ADDRESSES`] instead of [`STRICT`].
    addresses: bool,
}

impl Part {
    /// Returns all unit tests of `package`.
    const fn of(package: &'static str) -> Self {
        Self { name: package, package, targets: &["--lib"], only: &[], skip: &[], addresses: false }
    }

    const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    const fn targets(self, targets: &'static [&'static str]) -> Self {
        Self { targets, ..self }
    }

    const fn only(self, only: &'static [&'static str]) -> Self {
        Self { only, ..self }
    }

    const fn skip(self, skip: &'static [&'static str]) -> Self {
        Self { skip, ..self }
    }

    const fn addresses(self) -> Self {
        Self { addresses: true, ..self }
    }
}

/// The quick form.
const QUICK: [Part; 7] = [
    Part::of("forge-alloc-core"),
    // Left out of both: arithmetic without memory.
    Part::of("forge-alloc").skip(&["hardening::affix", "layout::", "raw::bitmap", "raw::buddy", "share::"]),
    // Left out are ten seconds each or more, and the tests beside them reach the same pointer code; the parts below take some.
    Part::of("forge-alloc").named("forge-alloc layouts").only(&["layout::"]).skip(&[
        "layout::arena::chunked::tests::chunks_grow_geometrically_and_all_come_back",
        "layout::arena::shared_bump::tests::idle_threads_hold_at_most_an_eighth",
        "layout::arena::shared_bump::tests::one_thread_fills_any_arena_without_a_gap",
        "layout::arena::shared_bump::tests::threads_share_all_of_the_range_and_no_byte",
        "layout::heap::",
        "layout::page::buddy_pages::tests::random_histories_over_regions_with_holes_are_those_of_the_naive_map",
        "layout::page::spans",
        "layout::slab::extendable",
        "layout::slab::generational::tests::slots_come_back_last_in_first_out_whatever_their_size",
        "layout::slab::generational::tests::the_model_wears_slots_out",
        "layout::slab::remote",
        "layout::slab::size_classed",
        "layout::slab::stride",
        "layout::slab::typed::tests::a_changed_link_is_noticed_under_every_policy_that_keeps_links_in_slots",
    ]),
    Part::of("forge-alloc")
        .named("forge-alloc heaps")
        .only(&[
            "layout::heap::buddy::",
            "layout::heap::leaving::",
            "layout::heap::segment::",
            "layout::heap::tlsf::tests::a_request",
            "layout::heap::tlsf::tests::a_small",
        ])
        .addresses(),
    Part::of("forge-alloc").named("forge-alloc slabs").only(&[
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
    ]),
    // Random histories against the shadow model, on the blocks whose memory lies inside a value that moves.
    Part::of("forge-alloc")
        .named("forge-alloc conformance")
        .targets(&["--test", "conformance"])
        .only(&["moves_empty"]),
    // The model and the replay handle pointers; the file formats are safe code.
    Part::of("forge-trace").only(&["shadow::", "replay::"]),
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

    /// Returns the arguments of `cargo miri test` for `part`.
    fn part(&self, part: &Part) -> Vec<String> {
        let mut arguments: Vec<String> =
            vec!["miri".into(), "test".into(), "--package".into(), part.package.into()];
        arguments.extend(part.targets.iter().map(ToString::to_string));
        if let Some(target) = &self.target {
            arguments.extend(["--target".into(), target.clone()]);
        }
        arguments.push("--".into());
        arguments.extend(part.only.iter().map(ToString::to_string));
        arguments.extend(part.skip.iter().flat_map(|test| ["--skip".into(), (*test).into()]));
        arguments
    }

    fn flags(&self, part: &Part) -> String {
        let memory = if part.addresses { OF_ADDRESSES } else { STRICT };
        let aliasing = if self.tree_borrows { " -Zmiri-tree-borrows" } else { "" };
        format!("{memory}{aliasing}")
    }
}

/// Adds one gate per row of the form.
pub(crate) fn gates(report: &mut Report, options: &Options) {
    let parts: &[Part] = if options.quick { &QUICK } else { &FULL };
    for part in parts {
        if options.quick {
            part.skip.iter().for_each(|test| println!("left out of the quick form: {test}"));
        }
        gate(report, options, part);
    }
}

fn gate(report: &mut Report, options: &Options, part: &Part) {
    report.deep_gate(&format!("miri {}", part.name), Duration::from_secs(60), |clock| {
        rustup::need_nightly(&["miri", "rust-src"], clock)?;
        let clock = if options.quick { clock.at_most(QUICK_LIMIT) } else { clock };
        let step = Step::cargo_of("nightly").args(options.part(part));
        step.env("MIRIFLAGS", options.flags(part)).env("CARGO_TARGET_DIR", side_target("miri")).run(clock)
    });
}

#[cfg(test)]
mod tests;
