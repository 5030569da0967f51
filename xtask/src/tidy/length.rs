//! A Rust file above 500 lines holds a second concept, or a reason here why not.

use super::Finding;
use super::tree::Tree;

const LIMIT: usize = 500;

/// Files that may be longer, each with the reason.
const LONGER: [(&str, &str); 0] = [];

/// Reports long files without an entry, and entries without a long file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    find(tree, &LONGER)
}

fn find(tree: &Tree, longer: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, _) in tree.rust() {
        let length = file.text.lines().count();
        let listed = longer.iter().any(|(path, reason)| *path == file.path && !reason.is_empty());
        if length > LIMIT && !listed {
            let message = format!("{length} lines; look for the second concept beyond {LIMIT}");
            findings.push(Finding::new(&file.path, LIMIT + 1, message));
        }
        if length <= LIMIT && listed {
            findings.push(Finding::new(
                &file.path,
                1,
                "is listed as long in xtask/src/tidy/length.rs and is not",
            ));
        }
    }
    for (path, _) in longer.iter().filter(|(path, _)| !tree.has(path)) {
        findings.push(Finding::new(
            path,
            1,
            "is listed as long in xtask/src/tidy/length.rs and does not exist",
        ));
    }
    findings
}

#[cfg(test)]
mod tests;
