//! Which crate of the workspace may depend on which, and that each takes the workspace's lints.
//!
//! ```text
//! forge-lab ──▶ forge-malloc ──▶ forge-alloc ──▶ forge-os, forge-alloc-core
//!     └──▶ forge-trace ──▶ forge-os, forge-alloc-core          forge-alloc ── tests ──▶ forge-trace
//! ```
//!
//! `forge-alloc-core` moreover has no dependency that is not optional.

use super::Finding;
use super::tree::Tree;

/// Packages that are workspaces of their own, and so cannot take the lints of this one.
const OWN_WORKSPACES: [&str; 2] = ["fuzz/", "examples/kernel/"];

/// A crate, what it may depend on, and what its tests may use besides.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

const CORE: &str = "forge-alloc-core";
const EVERYTHING: &[&str] = &[CORE, "forge-os", "forge-alloc", "forge-malloc", "forge-trace"];

const ALLOWED: [Row; 7] = [
    (CORE, &[], &[]),
    ("forge-os", &[], &[]),
    ("forge-alloc", &[CORE, "forge-os"], &["forge-trace"]),
    ("forge-malloc", &[CORE, "forge-os", "forge-alloc"], &["forge-trace"]),
    ("forge-malloc-abi", &[CORE, "forge-os", "forge-malloc"], &["forge-trace"]),
    ("forge-trace", &[CORE, "forge-os"], &[]),
    ("forge-lab", EVERYTHING, &[]),
];

/// One dependency line of a manifest.
struct Dependency {
    line: usize,
    name: String,
    dev: bool,
    optional: bool,
}

/// Reports dependencies against the arrows, and members without the workspace's lints.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        if !file.text.replace(' ', "").contains("[lints]\nworkspace=true")
            && !OWN_WORKSPACES.iter().any(|path| file.path.starts_with(path))
        {
            findings.push(Finding::new(&file.path, 1, "does not take the workspace's lints"));
        }
        let dependencies = dependencies(&file.text);
        if file.path.starts_with("xtask/") {
            let ours = dependencies.iter().filter(|dependency| EVERYTHING.contains(&&*dependency.name));
            findings.extend(ours.map(|dependency| {
                Finding::new(&file.path, dependency.line, "xtask depends on no crate of ours")
            }));
        }
        let Some(member) = file.member() else { continue };
        let Some((_, normal, tests)) = ALLOWED.iter().find(|(name, ..)| *name == member) else {
            let message = format!("crate `{member}` has no row in xtask/src/tidy/crate_graph.rs");
            findings.push(Finding::new(&file.path, 1, message));
            continue;
        };
        for dependency in dependencies {
            let name = dependency.name.as_str();
            let allowed = normal.contains(&name) || (dependency.dev && tests.contains(&name));
            if name.starts_with("forge-") && !allowed {
                let message = format!("`{member}` must not depend on `{name}`");
                findings.push(Finding::new(&file.path, dependency.line, message));
            }
            if member == CORE && !dependency.dev && !dependency.optional {
                let message = format!("`{CORE}` has no dependency by default, so `{name}` must be optional");
                findings.push(Finding::new(&file.path, dependency.line, message));
            }
        }
    }
    findings
}

/// Reads the dependency tables of a manifest by lines.
fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found: Vec<Dependency> = Vec::new();
    let (mut inside, mut dev) = (false, false);
    for (index, line) in manifest.lines().map(str::trim).enumerate() {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            // A model checker is a tool of tests, whichever table it has to stand in.
            dev = ["dev-dependencies", "build-dependencies", "cfg(loom)"]
                .iter()
                .any(|word| table.contains(word));
            inside = table.ends_with("dependencies");
            if let Some((_, name)) = table.split_once("dependencies.") {
                found.push(Dependency { line: index + 1, name: name.into(), dev, optional: true });
            }
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside && !line.starts_with('#')) {
            let package = value.split_once("package = \"").and_then(|(_, rest)| rest.split('"').next());
            let name = package.unwrap_or(key.split('.').next().unwrap_or(key).trim()).to_string();
            let optional = value.contains("optional = true");
            found.push(Dependency { line: index + 1, name, dev, optional });
        }
    }
    found
}

#[cfg(test)]
mod tests;
