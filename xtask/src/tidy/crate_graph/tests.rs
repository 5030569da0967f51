//! Planted manifests with an arrow in the wrong direction.

use super::*;

fn lines(path: &str, dependencies: &str) -> Vec<usize> {
    let manifest = format!("[lints]\nworkspace = true\n{dependencies}");
    check(&Tree::planted(&[(path, &manifest)])).iter().map(|finding| finding.line).collect()
}

#[test]
fn arrows_of_the_design_are_clean() {
    let text = "[dependencies]\nforge-alloc-core.workspace = true\nforge-os = { workspace = true, features = [\"sim\"] }\n\
                [dev-dependencies]\nforge-trace.workspace = true\n";
    assert_eq!(lines("crates/forge-alloc/Cargo.toml", text), [0; 0]);
}

#[test]
fn arrows_against_the_design_are_found() {
    assert_eq!(lines("crates/forge-alloc/Cargo.toml", "[dependencies]\nforge-trace.workspace = true\n"), [4]);
    assert_eq!(
        lines(
            "crates/forge-os/Cargo.toml",
            "[target.'cfg(unix)'.dependencies]\nx = { package = \"forge-alloc\" }"
        ),
        [4]
    );
    assert_eq!(lines("crates/forge-trace/Cargo.toml", "[dependencies.forge-alloc]\npath = \"../x\"\n"), [3]);
    assert_eq!(lines("xtask/Cargo.toml", "[dependencies]\nforge-trace.workspace = true\n"), [4]);
}

#[test]
fn core_has_only_optional_dependencies() {
    let text = "[dependencies]\nzeroize = { version = \"1\", optional = true }\nlog = \"0.4\"\n[target.'cfg(loom)'.dependencies]\nloom = \"0.7\"\n[dev-dependencies]\na = \"1\"\n";
    assert_eq!(lines("crates/forge-alloc-core/Cargo.toml", text), [5]);
}

#[test]
fn unknown_crates_and_missing_lints_are_found() {
    assert_eq!(lines("crates/forge-attic/Cargo.toml", ""), [1]);
    assert_eq!(check(&Tree::planted(&[("benches/Cargo.toml", "[package]\n")])).len(), 1);
}
