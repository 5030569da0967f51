//! A command's failure, its absence and its running out of time are three different ends.

use super::*;
use crate::report::Report;

fn outcome_within(limit: Duration, step: Step) -> Outcome {
    let mut result = Ok(());
    Report::new(None).gate("test", |clock| {
        result = step.run(clock.at_most(limit));
        Ok(())
    });
    result
}

#[test]
fn line_shows_environment_and_quotes() {
    let step = Step::new("cargo").args(["test"]).packages(["a", "b"]).env("RUSTFLAGS", "--cfg loom");
    assert_eq!(step.line(), "RUSTFLAGS=\"--cfg loom\" cargo test --package a --package b");
}

#[test]
fn missing_program_is_a_failure_with_its_name() {
    let Err(Stop::Failed(message)) =
        outcome_within(Duration::from_secs(5), Step::new("no-such-program-here"))
    else {
        panic!("a missing program passed");
    };
    assert!(message.contains("no-such-program-here"));
}

#[cfg(unix)]
#[test]
fn status_decides_and_a_hanging_command_is_stopped() {
    assert_eq!(outcome_within(Duration::from_secs(5), Step::new("true")), Ok(()));
    assert!(matches!(outcome_within(Duration::from_secs(5), Step::new("false")), Err(Stop::Failed(_))));
    let started = std::time::Instant::now();
    let hanging = Step::new("sh").args(["-c", "sleep 60 & wait"]);
    assert_eq!(outcome_within(Duration::from_millis(100), hanging), Err(Stop::OutOfTime));
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn descendants_are_all_below_and_no_other() {
    let pairs = [("1", "0"), ("7", "1"), ("8", "7"), ("9", "8"), ("10", "1"), ("11", "7")];
    assert_eq!(descendants(&pairs, "7"), ["8", "11", "9"]);
    assert_eq!(descendants(&pairs, "10"), [""; 0]);
}
