//! A policy and a graph with one violation of each kind.

use super::*;
use crate::workspace::Package;

const POLICY: &str = r#"
[licenses]
allow = [
    "MIT", # ours
    "ISC",
]
[bans]
multiple-versions = "allow"
deny = [
    { crate = "spin", reason = "raw locks are our own" },
    { crate = "crossbeam-utils", wrappers = ["rayon"] },
]
"#;

fn package(name: &str, licence: Option<&str>, dependents: &[&str]) -> Package {
    Package {
        name: name.into(),
        version: "1.0.0".into(),
        license: licence.map(String::from),
        source: Some(CRATES_IO.into()),
        dependents: dependents.iter().map(ToString::to_string).collect(),
        ..Package::default()
    }
}

fn findings(packages: Vec<Package>) -> Vec<String> {
    Policy::parse(POLICY).expect("a policy").findings(&Workspace { packages })
}

#[test]
fn policy_is_read_whole() {
    let policy = Policy::parse(POLICY).expect("a policy");
    assert_eq!(policy.licences, ["MIT", "ISC"]);
    assert_eq!(policy.refused[0], Refused { name: "spin".into(), wrappers: vec![] });
    assert_eq!(policy.refused[1].wrappers, ["rayon"]);
    assert!(Policy::parse("[licenses]\nallow = [\n]\n").is_err());
    assert!(Policy::parse("").is_err());
}

#[test]
fn clean_graph_has_no_findings() {
    let packages = vec![
        package("a", Some("MIT OR Apache-2.0"), &[]),
        package("crossbeam-utils", Some("MIT"), &["rayon"]),
    ];
    assert_eq!(findings(packages), [""; 0]);
}

#[test]
fn every_kind_of_violation_is_found() {
    let foreign =
        Package { source: Some("git+https://example.org/x".into()), ..package("d", Some("MIT"), &[]) };
    let packages = vec![
        package("a", Some("GPL-3.0"), &[]),
        package("b", None, &[]),
        package("c", Some("MIT OR"), &[]),
        foreign,
        package("spin", Some("MIT"), &["e"]),
        package("crossbeam-utils", Some("MIT"), &["f", "rayon"]),
    ];
    let found = findings(packages);
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(found[0].contains("`GPL-3.0` is not allowed"));
    assert!(found[1].contains("states no licence"));
    assert!(found[2].contains("missing"));
    assert!(found[3].contains("git+https"));
    assert!(found[4].contains("needed by e"));
    assert!(found[5].ends_with("needed by f"));
}

#[test]
fn the_projects_own_policy_parses() {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    let policy = Policy::parse(&text).expect("a policy");
    assert!(policy.licences.iter().any(|licence| licence == "MIT"));
    assert!(policy.refused.iter().any(|refused| refused.name == "inferno"));
}
