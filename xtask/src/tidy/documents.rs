//! The documents that every clone has, and the promise of the README: two commands, one for the job and one for the tests.
//!
//! The table of security properties names tests, which have to be functions of the tree.
//!
//! The two commands stand alone in the shell blocks of the README's set-up section, whose heading says "set up" or "two commands".

use std::collections::HashSet;

use super::Finding;
use super::tree::{File, Tree};

const REQUIRED: [&str; 13] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "deny.toml",
    "docs/DIFFERENCES.md",
    "docs/PERFORMANCE.md",
    PROPERTIES,
    "justfile",
];

/// The table of security properties, each with the tests that show it.
const PROPERTIES: &str = "docs/SECURITY_PROPERTIES.md";

const JOB: &str = "cargo run --release -p forge-lab -- compare";
const TESTS: &str = "cargo test --workspace";

/// Reports missing documents and a set-up section with other commands.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let missing = REQUIRED.into_iter().filter(|path| !tree.has(path));
    let mut findings: Vec<Finding> =
        missing.map(|path| Finding::new(path, 1, "is not there, or git ignores it")).collect();
    if let Some(readme) = tree.get("README.md") {
        let (line, commands) = set_up(&readme.text);
        if commands != [JOB, TESTS] {
            let message =
                format!("the set-up section must hold `{JOB}` and `{TESTS}`, but holds {commands:?}");
            findings.push(Finding::new("README.md", line, message));
        }
    }
    if let Some(properties) = tree.get(PROPERTIES) {
        let functions: HashSet<&str> = tree.files().iter().flat_map(functions).collect();
        let unknown = tests(&properties.text).filter(|(_, test)| !functions.contains(test));
        findings.extend(unknown.map(|(line, test)| {
            Finding::new(PROPERTIES, line, format!("`{test}` is no function of the tree"))
        }));
    }
    findings
}

/// Returns the names of the functions of a Rust file.
fn functions(file: &File) -> impl Iterator<Item = &str> {
    let code = file.rust.as_ref().map_or("", |split| split.code.as_str());
    code.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next())
}

/// Returns the names in the column of tests, with their lines: those in backquotes that could be functions.
fn tests(table: &str) -> impl Iterator<Item = (usize, &str)> {
    let cells =
        table.lines().enumerate().filter_map(|(line, row)| Some((line + 1, row.split(" | ").nth(3)?)));
    cells.flat_map(|(line, cell)| cell.split('`').skip(1).step_by(2).map(move |name| (line, name))).filter(
        |(_, name)| {
            name.contains('_') && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
        },
    )
}

/// Returns the line of the set-up heading and the commands in the fenced blocks of its section.
fn set_up(readme: &str) -> (usize, Vec<&str>) {
    let (mut heading, mut inside, mut fenced) = (1, false, false);
    let mut commands = Vec::new();
    for (index, line) in readme.lines().enumerate() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with('#') {
            let title = line.to_ascii_lowercase().replace('-', " ");
            inside = ["set up", "setup", "two commands"].iter().any(|words| title.contains(words));
            heading = if inside { index + 1 } else { heading };
        } else if inside && fenced {
            let command = line.split(" #").next().unwrap_or(line).trim().trim_start_matches("$ ");
            commands.extend(Some(command).filter(|command| !command.is_empty() && !command.starts_with('#')));
        }
    }
    (heading, commands)
}

#[cfg(test)]
mod tests;
