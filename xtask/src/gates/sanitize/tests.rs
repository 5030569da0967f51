//! The command line of the sanitizer gate, and the tests that it leaves out.

use super::{LEFT_OUT, parse};
use crate::workspace::root;

#[test]
fn sanitizers_are_named_and_have_a_default() {
    assert_eq!(parse(&[]), Ok(vec!["address", "thread"]));
    assert_eq!(parse(&["leak"]), Ok(vec!["leak"]));
    assert!(parse(&["addres"]).is_err());
}

#[test]
fn every_test_that_is_left_out_exists() {
    for left_out in LEFT_OUT {
        let text = std::fs::read_to_string(root().join(left_out.file)).expect("the file exists");
        assert!(
            text.contains(&format!("fn {}()", left_out.test)),
            "{} has no {}",
            left_out.file,
            left_out.test
        );
    }
}
