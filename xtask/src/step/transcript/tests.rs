use super::*;

#[test]
fn a_digest_keeps_results_and_skips_and_drops_the_rest() {
    let lines = [
        "test one ... ok",
        "skipped: this system says yes to everything",
        "test result: ok. 1 passed; 0 failed",
        "a_test_that_was_skipped ... ok",
    ];
    assert_eq!(digest(&lines), [lines[1], lines[2]]);
}

#[test]
fn failures_are_found_in_the_early_lines() {
    assert!(is_failure("thread 'a' panicked at src/lib.rs:1:1:") && is_failure("test a ... FAILED"));
    assert!(is_failure("error[E0277]: no") && !is_failure("test a_failure_is_an_error ... ok"));
}

#[cfg(unix)]
#[test]
fn a_transcript_takes_both_outputs_and_leaves_no_file() {
    let transcript = Transcript::new().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "echo out; echo err >&2"]);
    transcript.take_output_of(&mut command).unwrap();
    assert!(command.status().unwrap().success());
    let path = transcript.path.clone();
    assert_eq!(fs::read_to_string(&path).unwrap(), "out\nerr\n");
    transcript.print(true).unwrap();
    assert!(!path.exists());
}
