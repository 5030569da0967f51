//! The command line of the Miri gate.

use super::*;

#[test]
fn options_become_flags_and_arguments() {
    let options = Options::parse(&["--tree-borrows", "--target", "s390x-unknown-linux-gnu"]).expect("valid");
    let part = Part::of("a").targets(&["--lib", "--tests"]);
    assert!(options.flags(&part).ends_with("-Zmiri-symbolic-alignment-check -Zmiri-tree-borrows"));
    let arguments = options.part(&part).join(" ");
    assert_eq!(arguments, "miri test --package a --lib --tests --target s390x-unknown-linux-gnu --");
    assert!(options.flags(&part.addresses()).contains("-Zmiri-permissive-provenance"));
    assert!(Options::parse(&["--quick"]).is_ok_and(|options| options == Options::quick()));
}

#[test]
fn unknown_and_incomplete_options_are_errors() {
    assert!(Options::parse(&["--target"]).is_err());
    assert!(Options::parse(&["--fast"]).is_err());
}

#[test]
fn filters_stand_behind_the_dashes() {
    let part = Part::of("a").only(&["b::"]).skip(&["c::d"]);
    let arguments = Options::quick().part(&part).join(" ");
    assert_eq!(arguments, "miri test --package a --lib -- b:: --skip c::d");
}

#[test]
fn every_test_that_the_quick_form_leaves_out_exists() {
    for part in QUICK.iter().chain(&FULL) {
        for test in part.skip.iter().map(|test| test.trim_end_matches("::")) {
            let file = |module: &str| {
                let path = format!("crates/{}/src/{}.rs", part.package, module.replace("::", "/"));
                crate::workspace::root().join(path)
            };
            let (module, name) = test.rsplit_once("::").unwrap_or((test, ""));
            let text = std::fs::read_to_string(file(module)).unwrap_or_default();
            assert!(
                text.contains(&format!("fn {name}()")) || file(test).with_extension("").is_dir(),
                "{test}"
            );
        }
    }
}
