//! Licences, refused crates and sources of everything that any feature can bring in, against `deny.toml`.
//!
//! # Design
//!
//! `cargo deny` does this and more, but takes minutes to install. Where it is on the path it runs; elsewhere the same three
//! questions are answered here from `cargo metadata`, from the same `deny.toml`. The log says which of the two ran.
//! The policy is read by lines, which is enough for the three lists in it and fails loudly if one of them is empty.

use super::{load, spdx};
use crate::report::{Outcome, Report, Stop};
use crate::step::Step;
use crate::workspace::{Workspace, root};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Adds the gate `deny`.
pub(crate) fn gate(report: &mut Report) {
    report.gate("deny", |clock| {
        if Step::cargo().args(["deny", "--version"]).read().is_some() {
            println!("cargo-deny is installed and decides");
            return Step::cargo()
                .args(["deny", "--all-features", "check", "licenses", "bans", "sources"])
                .run(clock);
        }
        println!("cargo-deny is not installed; checking deny.toml against cargo metadata here");
        own_check()
    });
}

fn own_check() -> Outcome {
    let text =
        std::fs::read_to_string(root().join("deny.toml")).map_err(|error| format!("deny.toml: {error}"))?;
    let policy = Policy::parse(&text)?;
    let workspace = load()?;
    let findings = policy.findings(&workspace);
    for finding in &findings {
        println!("deny.toml: {finding}");
    }
    println!("{} packages checked against {} licences", workspace.packages.len(), policy.licences.len());
    if findings.is_empty() { Ok(()) } else { Err(Stop::Failed(format!("{} findings", findings.len()))) }
}

/// The part of `deny.toml` that this check holds.
#[derive(Debug, PartialEq, Eq)]
struct Policy {
    licences: Vec<String>,
    refused: Vec<Refused>,
}

/// A crate that must not be in the graph, except directly under one of `wrappers`.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    name: String,
    wrappers: Vec<String>,
}

impl Policy {
    fn parse(text: &str) -> Result<Self, String> {
        let licences = quoted(&list(text, "[licenses]", "allow")?.concat());
        let entries = list(text, "[bans]", "deny")?;
        let refused = entries.iter().filter(|line| line.contains('{')).map(|line| Refused::parse(line));
        let refused = refused.collect::<Result<Vec<_>, _>>()?;
        if licences.is_empty() || refused.is_empty() {
            return Err("deny.toml: [licenses] allow or [bans] deny is empty".into());
        }
        Ok(Self { licences, refused })
    }

    fn findings(&self, workspace: &Workspace) -> Vec<String> {
        let mut findings = Vec::new();
        for package in &workspace.packages {
            let name = format!("{} {}", package.name, package.version);
            let allowed = |licence: &str| self.licences.iter().any(|known| known == licence);
            match package.license.as_deref().map(|expression| spdx::is_satisfied(expression, &allowed)) {
                Some(Ok(true)) => {}
                Some(Ok(false)) => {
                    findings.push(format!(
                        "{name}: `{}` is not allowed",
                        package.license.as_deref().unwrap_or("")
                    ));
                }
                Some(Err(error)) => findings.push(format!("{name}: {error}")),
                None => findings.push(format!("{name}: states no licence")),
            }
            if package.source.as_deref().is_some_and(|source| source != CRATES_IO) {
                findings.push(format!("{name}: comes from {}", package.source.as_deref().unwrap_or("")));
            }
            for refused in self.refused.iter().filter(|refused| refused.name == package.name) {
                let wrong: Vec<&str> = package.dependents.iter().map(String::as_str).collect();
                let wrong: Vec<&str> = wrong
                    .into_iter()
                    .filter(|dependent| !refused.wrappers.iter().any(|name| name == dependent))
                    .collect();
                if !wrong.is_empty() {
                    findings.push(format!("{name}: refused, needed by {}", wrong.join(", ")));
                }
            }
        }
        findings
    }
}

impl Refused {
    /// Reads `{ crate = "name", wrappers = ["a"], reason = "..." }`.
    fn parse(line: &str) -> Result<Self, String> {
        let value = |key: &str| line.split_once(&format!("{key} = ")).map(|(_, rest)| rest);
        let name = value("crate").and_then(|rest| quoted(rest).into_iter().next());
        let wrappers =
            value("wrappers").and_then(|rest| rest.split(']').next()).map(quoted).unwrap_or_default();
        Ok(Self { name: name.ok_or_else(|| format!("deny.toml: no crate in `{line}`"))?, wrappers })
    }
}

/// Returns the lines of the array `key` in the table `section`, without comments.
fn list<'a>(text: &'a str, section: &str, key: &str) -> Result<Vec<&'a str>, String> {
    let mut lines = text.lines().map(|line| line.split(" #").next().unwrap_or(line).trim());
    let mut lines = lines.by_ref().skip_while(|line| *line != section).skip(1);
    let start = format!("{key} = [");
    let inside =
        lines.by_ref().take_while(|line| !line.starts_with('[')).skip_while(|line| !line.starts_with(&start));
    let entries: Vec<&str> = inside.skip(1).take_while(|line| *line != "]").collect();
    if entries.is_empty() { Err(format!("deny.toml: {section} has no list `{key}`")) } else { Ok(entries) }
}

/// Returns every string between double quotes.
fn quoted(text: &str) -> Vec<String> {
    text.split('"').skip(1).step_by(2).map(String::from).collect()
}

#[cfg(test)]
mod tests;
