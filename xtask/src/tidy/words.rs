//! Comments describe the code as it is: no history, no plans, no gaps.
//!
//! The list below is of words that stand for a change instead of the code, and of marks for work that is not done. Git
//! keeps the history; `# Design` keeps the decisions.

use super::Finding;
use super::lexer::{line_of, word_places};
use super::tree::Tree;

/// Words of history, in any case.
const HISTORY: [&str; 6] = ["previously", "used to", "no longer", "was fixed", "regression for", "review"];

/// Marks of missing work, as written.
const MARKS: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// Code that stands for missing work.
const GAPS: [&str; 3] = ["todo!", "unimplemented!", "#[ignore"];

/// Reports each of them.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, split) in tree.rust() {
        let mut report = |text: &str, index: usize, word: &str, kind: &str| {
            findings.push(Finding::new(&file.path, line_of(text, index), format!("{kind} `{word}`")));
        };
        let lower = split.comments.to_ascii_lowercase();
        for word in HISTORY {
            word_places(&lower, word).for_each(|index| report(&lower, index, word, "history in a comment:"));
        }
        for word in MARKS {
            let comments = &split.comments;
            word_places(comments, word).for_each(|index| report(comments, index, word, "unfinished work:"));
        }
        for word in GAPS {
            split
                .code
                .match_indices(word)
                .for_each(|(index, _)| report(&split.code, index, word, "unfinished work:"));
        }
    }
    findings
}

#[cfg(test)]
mod tests;
