//! Metadata of a small planted graph.

use super::*;

const GRAPH: &str = r#"{
  "workspace_members": ["a 0.1"],
  "packages": [
    {"id": "a 0.1", "name": "a", "version": "0.1.0", "license": "MIT", "source": null, "rust_version": "1.85",
     "features": {"default": ["std"], "std": [], "nightly": [], "mirror": ["b/nightly"], "bench": ["mirror"],
                  "left": ["right"], "right": ["left"], "contestants": [], "page-alloc-1t": []},
     "targets": [{"kind": ["lib"], "name": "a"}, {"kind": ["test"], "name": "loom"}]},
    {"id": "b 1", "name": "b", "version": "1.0.0", "license": null, "source": "registry+x", "features": {}, "targets": []}
  ],
  "resolve": {"nodes": [{"id": "a 0.1", "dependencies": ["b 1"]}, {"id": "b 1", "dependencies": []}]}
}"#;

#[test]
fn parse_reads_members_tests_and_dependents() {
    let workspace = Workspace::parse(GRAPH).expect("valid JSON");
    let names: Vec<&str> = workspace.members().into_iter().map(|package| package.name.as_str()).collect();
    assert_eq!(names, ["a"]);
    assert_eq!(workspace.packages[0].tests, ["loom"]);
    assert!(workspace.packages[1].dependents.contains("a"));
    assert_eq!(workspace.packages[1].license, None);
}

#[test]
fn portable_features_exclude_what_leads_to_nightly_and_survive_cycles() {
    let workspace = Workspace::parse(GRAPH).expect("valid JSON");
    assert_eq!(workspace.packages[0].portable_features(), ["left", "page-alloc-1t", "right", "std"]);
    assert_eq!(Workspace::all_portable(&workspace.members()), ["--features", "a/left,a/right,a/std"]);
}

#[test]
fn malformed_metadata_is_an_error() {
    assert!(Workspace::parse("{").is_err());
}

#[test]
fn a_licence_is_known_by_the_title_of_its_text_alone() {
    assert_eq!(licence_of_text("\nMIT License\n\nCopyright"), Some("MIT"));
    assert_eq!(licence_of_text("Copyright\nMIT License"), None);
    assert_eq!(licence_of_text(""), None);
}
