//! Library paths return errors: no `unwrap`, `expect` or written panic outside tests.

use super::Finding;
use super::lexer::{line_of, without_tests};
use super::tree::Tree;

const CRATES: [&str; 5] = ["forge-alloc-core", "forge-os", "forge-alloc", "forge-malloc", "forge-malloc-abi"];

const PANICS: [&str; 6] =
    [".unwrap()", ".expect(", ".unwrap_err()", ".expect_err(", "panic!(", "unreachable!("];

/// Files whose purpose is to panic, each with the reason.
const EXEMPT: [(&str, &str); 2] = [
    (
        "crates/forge-alloc-core/src/testing",
        "the public conformance checks: a failed check panics, as a test does",
    ),
    (
        "crates/forge-os/src/platform/unsupported.rs",
        "fatal without an operating system ends in the panic handler",
    ),
];

/// Reports each panic.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, split) in tree.rust() {
        let library =
            file.member().is_some_and(|member| CRATES.contains(&member)) && file.path.contains("/src/");
        let exempt = EXEMPT.iter().any(|(path, _)| file.path.starts_with(path));
        if !library || exempt || file.is_test() {
            continue;
        }
        let code = without_tests(&split.code);
        for panic in PANICS {
            for (index, _) in code.match_indices(panic).filter(|(index, _)| !code[..*index].ends_with('_')) {
                let message = format!("`{panic}` on a library path");
                findings.push(Finding::new(&file.path, line_of(&code, index), message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests;
