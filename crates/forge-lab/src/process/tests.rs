//! Children that misbehave on purpose, played by the shell.
#![cfg(unix)]

use super::*;

fn shell(script: &str) -> Child {
    Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_process_killed_by_a_signal_is_described_by_it() {
    let (status, _, complaint) = converse(shell("echo heap corrupted >&2; kill -ABRT $$"), b"").unwrap();
    let reason = ending(status, &complaint);
    assert!(reason.contains("signal: 6") && reason.contains("heap corrupted"), "{reason}");
}

#[test]
fn a_process_that_does_not_read_its_input_is_no_obstacle() {
    let input = vec![b'x'; 4 << 20];
    let (status, output, _) = converse(shell("echo done; exit 3"), &input).unwrap();
    assert_eq!((status.code(), output.as_str()), (Some(3), "done\n"));
    assert_eq!(ending(status, ""), "exit status: 3");
}

#[test]
fn input_arrives_whole() {
    let input = vec![b'x'; 1 << 20];
    let (status, output, _) = converse(shell("wc -c"), &input).unwrap();
    assert!(status.success());
    assert_eq!(output.trim(), (1 << 20).to_string());
}
