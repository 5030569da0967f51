//! Planted READMEs with more, fewer and other commands.

use super::*;

fn readme_findings(text: &str) -> usize {
    check(&Tree::planted(&[("README.md", text)])).iter().filter(|finding| finding.path == "README.md").count()
}

#[test]
fn two_commands_are_clean() {
    let text = "# x\n```rust\nfn f() {}\n```\n## Set up\n```sh\ncargo run --release -p forge-lab -- compare   # the job\n\
                $ cargo test --workspace\n```\n## More\n```sh\ncargo doc\n```\n";
    assert_eq!(readme_findings(text), 0);
}

#[test]
fn other_commands_are_found() {
    assert_eq!(readme_findings("# x\n"), 1);
    assert_eq!(readme_findings("## Set-up\n```sh\ncargo test --workspace\n```\n"), 1);
    let more =
        "## Setup\n```sh\ncargo run --release -p forge-lab -- compare\ncargo test --workspace\nmake\n```\n";
    assert_eq!(readme_findings(more), 1);
}

#[test]
fn missing_documents_are_found() {
    let findings = check(&Tree::planted(&[("Cargo.lock", "")]));
    assert_eq!(findings.len(), REQUIRED.len() - 1);
}

#[test]
fn a_property_names_tests_that_exist() {
    let table = "| property | ours | cost | test |\n|---|---|---|---|\n| a | `B_c` | `d_e` | `is_there`, `is_not`, `Type` |\n";
    let tree = Tree::planted(&[
        (PROPERTIES, table),
        ("crates/a/tests/b.rs", "#[test]\nfn is_there() {}\nfn other<T>() {}\n"),
    ]);
    let findings: Vec<_> = check(&tree).into_iter().filter(|finding| finding.path == PROPERTIES).collect();
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].line, findings[0].message.as_str()), (3, "`is_not` is no function of the tree"));
}
