//! Unit tests live in `tests.rs` beside their module: the module stays readable and its length says what it does.

use super::Finding;
use super::lexer::{line_of, word_places};
use super::tree::Tree;

/// Reports test modules and test functions inside other files of `src`.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, split) in tree.rust().filter(|(file, _)| file.path.contains("/src/") && !file.is_test()) {
        let code = &split.code;
        for (index, _) in code.match_indices("#[test]") {
            findings.push(Finding::new(&file.path, line_of(code, index), "a test outside tests.rs"));
        }
        for (index, attribute) in code.match_indices("#[cfg(test)]") {
            let item = code[index + attribute.len()..].trim_start();
            let head = item.split([';', '{']).next().unwrap_or(item);
            if word_places(head, "mod").next().is_some() && item[head.len()..].starts_with('{') {
                let message = "a test module inside the file; use tests.rs";
                findings.push(Finding::new(&file.path, line_of(code, index), message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests;
