//! Links from Markdown to files of the repository resolve.

use super::Finding;
use super::tree::Tree;

/// Reports links to files that are not there.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().iter().filter(|file| file.path.ends_with(".md")) {
        let mut fenced = false;
        for (index, line) in file.text.lines().enumerate() {
            fenced ^= line.trim_start().starts_with("```");
            for target in targets(line).into_iter().filter(|_| !fenced) {
                if !exists(tree, &file.path, target) {
                    findings.push(Finding::new(
                        &file.path,
                        index + 1,
                        format!("link to `{target}`, which is not there"),
                    ));
                }
            }
        }
    }
    findings
}

/// Returns the targets of `[text](target)` in a line that are paths, without what follows `#`.
fn targets(line: &str) -> Vec<&str> {
    let ends = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let words = ends.filter_map(|target| target.split_whitespace().next());
    let paths = words.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    paths.filter_map(|target| target.split('#').next()).filter(|path| !path.is_empty()).collect()
}

/// Returns whether `target`, as seen from the file `from`, is a file or directory of the tree.
fn exists(tree: &Tree, from: &str, target: &str) -> bool {
    let mut parts: Vec<&str> = if target.starts_with('/') { Vec::new() } else { from.split('/').collect() };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    let path = parts.join("/");
    let directory = format!("{path}/");
    path.is_empty() || tree.has(&path) || tree.files().iter().any(|file| file.path.starts_with(&directory))
}

#[cfg(test)]
mod tests;
