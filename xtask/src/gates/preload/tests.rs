//! The scripts, as far as they can be judged without running them.

use std::collections::HashSet;
use std::process::Command;

use super::{PROGRAMS, need};

#[test]
fn every_script_is_one_that_the_shell_reads() {
    for program in PROGRAMS {
        let Ok(status) = Command::new("sh").args(["-n", "-c", program.script]).status() else { return };
        assert!(status.success(), "{}", program.name);
    }
}

#[test]
fn every_program_has_a_name_of_its_own_and_says_what_it_needs() {
    let names: HashSet<&str> = PROGRAMS.iter().map(|program| program.name).collect();
    assert_eq!(names.len(), PROGRAMS.len());
    assert!(PROGRAMS.iter().all(|program| !program.needs.is_empty()));
}

#[test]
fn what_is_not_there_is_skipped() {
    assert!(need("there-is-no-such-program").is_err());
}
