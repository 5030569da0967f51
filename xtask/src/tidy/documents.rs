//! The documents that every clone has, and the promise of the README: two commands, one for the job and one for the tests.
//!
//! The two stand alone in the shell blocks of the README's set-up section, whose heading says "set up" or "two commands".

use super::Finding;
use super::tree::Tree;

const REQUIRED: [&str; 12] = [
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
    "justfile",
];

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
    findings
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
