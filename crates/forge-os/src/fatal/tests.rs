use std::os::unix::process::ExitStatusExt;
use std::{env, format, str, string::String};

/// Tells the child which message to die with.
const MESSAGE: &str = "FORGE_OS_FATAL_TEST";

/// Runs the test `name` of this binary in a child whose standard error is returned, with the signal that
/// ended it.
fn run_child(name: &str, message: &str) -> (String, Option<i32>) {
    let output = crate::test_process::only(name)
        .unwrap()
        .args(["--nocapture", "--test-threads=1"])
        .env(MESSAGE, message)
        .output()
        .unwrap();
    let mut stderr = str::from_utf8(&output.stderr).unwrap();
    if crate::test_process::is_emulated() {
        stderr = stderr.find("qemu: uncaught target signal 6").map_or(stderr, |end| &stderr[..end]);
    }
    (stderr.into(), output.status.signal())
}

#[test]
fn fatal_writes_exactly_the_pieces_and_aborts() {
    if let Ok(message) = env::var(MESSAGE) {
        super::fatal(&["forge: ", &message, "", " at ", "0x10"]);
    }
    let name = "fatal::tests::fatal_writes_exactly_the_pieces_and_aborts";
    let long = "x".repeat(1500);
    for message in ["double free", "", long.as_str()] {
        let (stderr, signal) = run_child(name, message);
        assert_eq!(stderr, format!("forge: {message} at 0x10\n"));
        assert_eq!(signal, Some(6), "SIGABRT");
    }
}
