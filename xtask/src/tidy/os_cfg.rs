//! Only `forge-os` knows operating systems: no other library crate has a `cfg` that names one, outside its tests.
//!
//! One question is allowed elsewhere, in one spelling: `any(unix, windows)`, "is there an operating system that maps
//! memory at all?". `forge-alloc` needs it where its documented names exist only then.

use super::Finding;
use super::lexer::line_of;
use super::tree::Tree;

/// Names that ask for an operating system.
const NAMES: [&str; 6] = ["unix", "windows", "target_os", "target_family", "target_vendor", "target_env"];

/// The one question that a crate outside `forge-os` may ask, by crate.
const ALLOWED: [(&str, &str); 1] = [("forge-alloc", "any(unix, windows)")];

const CRATES: [&str; 5] =
    ["forge-alloc-core", "forge-alloc", "forge-malloc", "forge-malloc-abi", "forge-trace"];

/// Reports every other predicate.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, split) in tree.rust().filter(|(file, _)| !file.is_test()) {
        let Some(member) = file.member().filter(|member| CRATES.contains(member)) else { continue };
        for (index, _) in split.code.match_indices("cfg") {
            let rest = split.code[index..]
                .trim_start_matches("cfg")
                .trim_start_matches("_attr")
                .trim_start_matches('!');
            let mut predicate = argument(rest);
            for (_, question) in ALLOWED.iter().filter(|(name, _)| *name == member) {
                predicate = predicate.replace(question, "");
            }
            let words = predicate.split(|symbol: char| !(symbol.is_alphanumeric() || symbol == '_'));
            for name in words.filter(|word| NAMES.contains(word)) {
                let message = format!("cfg names `{name}`; ask forge-os instead");
                findings.push(Finding::new(&file.path, line_of(&split.code, index), message));
            }
        }
    }
    findings
}

/// Returns what stands in the parentheses at the start of `text`, or nothing.
fn argument(text: &str) -> String {
    let mut depth = 0_usize;
    let mut argument = String::new();
    for symbol in text.chars() {
        match symbol {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        argument.push(symbol);
    }
    argument
}

#[cfg(test)]
mod tests;
