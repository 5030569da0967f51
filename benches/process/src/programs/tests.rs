use super::{PROGRAMS, Program};
use crate::preloads::Preload;

#[test]
fn what_a_script_and_its_children_use_is_counted_and_its_failure_is_told() {
    let directory = std::env::temp_dir().join(format!("forge-programs-{}", std::process::id()));
    let run = |script| Program { id: "test", needs: &["sh"], script }.sample(&Preload::system(), &directory);
    let busy = run("sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done'").unwrap();
    let idle = run(":").unwrap();
    assert!(busy.minimum > 2.0 * idle.minimum && idle.peak_kib > 0, "{busy:?} {idle:?}");
    assert!(run("exit 3").unwrap_err().contains('3'));
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn what_is_missing_is_named() {
    let program = |needs| Program { id: "test", needs, script: "" };
    assert_eq!(program(&["sh", "no-such-program"]).lacks(), Some("no-such-program"));
    assert_eq!(program(&["sh"]).lacks(), None);
}

#[test]
fn programs_have_distinct_names_that_no_row_has() {
    let rows = crate::rows::all();
    let mut names: Vec<_> =
        PROGRAMS.iter().map(|program| program.id).chain(rows.iter().map(|row| row.id)).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
