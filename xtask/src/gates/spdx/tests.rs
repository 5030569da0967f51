//! The grammar: precedence, parentheses, exceptions, the old form, and what is no expression.

use super::is_satisfied;

fn satisfied(expression: &str) -> Result<bool, String> {
    is_satisfied(expression, &|licence| matches!(licence, "MIT" | "ISC" | "Apache-2.0 WITH LLVM-exception"))
}

#[test]
fn expressions_are_evaluated_with_precedence() {
    assert_eq!(satisfied("MIT"), Ok(true));
    assert_eq!(satisfied("GPL-3.0"), Ok(false));
    assert_eq!(satisfied("GPL-3.0 OR MIT"), Ok(true));
    assert_eq!(satisfied("GPL-3.0 AND MIT"), Ok(false));
    assert_eq!(satisfied("MIT OR GPL-3.0 AND CDDL-1.0"), Ok(true));
    assert_eq!(satisfied("(MIT OR GPL-3.0) AND CDDL-1.0"), Ok(false));
    assert_eq!(satisfied("(MIT OR GPL-3.0) AND ISC"), Ok(true));
}

#[test]
fn exceptions_and_the_old_form_are_read() {
    assert_eq!(satisfied("Apache-2.0 WITH LLVM-exception"), Ok(true));
    assert_eq!(satisfied("Apache-2.0"), Ok(false));
    assert_eq!(satisfied("Unlicense/MIT"), Ok(true));
    assert_eq!(satisfied("MIT or Apache-2.0"), Ok(true));
    assert_eq!(satisfied("MIT and Apache-2.0"), Ok(false));
}

#[test]
fn malformed_expressions_are_errors() {
    for expression in ["", "MIT OR", "MIT MIT", "(MIT", "MIT)", "AND", "MIT WITH"] {
        assert!(satisfied(expression).is_err(), "{expression}");
    }
}
