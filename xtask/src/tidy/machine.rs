//! No file names the machine that it was written on: no home directory, no host of a package registry.

use super::Finding;
use super::lexer::line_of;
use super::tree::Tree;

/// Directories at the root of one machine.
const DIRECTORIES: [&str; 3] = ["/work", "/root", "/home"];

/// Hosts that serve packages; the manifests leave the choice to the user's configuration.
const HOSTS: [&str; 6] = [
    "index.crates.io",
    "static.crates.io",
    "static.rust-lang.org",
    "pypi.org",
    "registry.npmjs.org",
    "proxy.golang.org",
];

/// This rule and its tests hold the words that they look for.
const EXEMPT: [&str; 2] = ["xtask/src/tidy/machine.rs", "xtask/src/tidy/machine/tests.rs"];

/// Reports each of them, in any text file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().iter().filter(|file| !EXEMPT.contains(&&*file.path)) {
        for directory in DIRECTORIES {
            for (index, _) in file.text.match_indices(directory) {
                if is_root_path(&file.text, index, directory.len()) {
                    let message = format!("names `{directory}`, a path of one machine");
                    findings.push(Finding::new(&file.path, line_of(&file.text, index), message));
                }
            }
        }
        for host in HOSTS {
            for (index, _) in file.text.match_indices(host) {
                let message = format!("names `{host}`, a host of a registry");
                findings.push(Finding::new(&file.path, line_of(&file.text, index), message));
            }
        }
    }
    findings
}

/// Returns whether the name at `index` starts at the root: nothing of a longer path or name stands around it.
fn is_root_path(text: &str, index: usize, length: usize) -> bool {
    let part =
        |symbol: char| symbol.is_alphanumeric() || matches!(symbol, '_' | '-' | '.' | '/' | '}' | ')' | '>');
    let name = |symbol: char| symbol.is_alphanumeric() || matches!(symbol, '_' | '-');
    !text[..index].ends_with(part) && !text[index + length..].starts_with(name)
}

#[cfg(test)]
mod tests;
