//! The table of targets, the command line, and how a missing part is named.

use std::ffi::OsStr;

use super::{PORTS, Port, parse};
use crate::workspace::is_on_path;

#[test]
fn targets_are_named_and_default_to_all() {
    assert_eq!(parse(&[]).map(|targets| targets.len()), Ok(PORTS.len()));
    assert_eq!(parse(&["s390x-unknown-linux-gnu"]), Ok(vec!["s390x-unknown-linux-gnu"]));
    assert!(parse(&["s390x"]).is_err());
}

#[test]
fn the_variables_of_a_port_are_those_that_cargo_reads_for_its_target() {
    for port in &PORTS {
        let prefix = format!("CARGO_TARGET_{}", port.target.to_uppercase().replace('-', "_"));
        for (found, name) in [(port.linker, "LINKER"), (port.runner, "RUNNER")] {
            if let Some((variable, _)) = found {
                assert_eq!(variable, format!("{prefix}_{name}"));
            }
        }
    }
}

#[test]
fn the_first_missing_part_is_named() {
    let directory = std::env::temp_dir().join(format!("forge-xtask-cross-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the test");
    let path = directory.as_os_str();
    let port = Port {
        target: "t",
        linker: Some(("L", "some-linker")),
        runner: Some(("R", "some-emulator -L /sysroot")),
        file: Some("/no/such/loader"),
    };
    for expected in ["some-linker", "some-emulator"] {
        assert!(!is_on_path(expected, path));
        assert_eq!(port.missing(path), Some(expected));
        std::fs::write(directory.join(expected), "").expect("a file for the test");
    }
    assert_eq!(port.missing(path), Some("/no/such/loader"));
    assert_eq!(Port { file: None, ..port }.missing(path), None);
    std::fs::remove_dir_all(&directory).expect("the directory is ours");
}

#[test]
fn a_port_without_needs_lacks_nothing() {
    let port = Port { target: "t", linker: None, runner: None, file: None };
    assert_eq!(port.missing(OsStr::new("")), None);
}
