//! Planted words, and the same letters where they are harmless.

use super::*;

fn lines(text: &str) -> Vec<usize> {
    check(&Tree::planted(&[("a.rs", text)])).iter().map(|finding| finding.line).collect()
}

#[test]
fn history_and_gaps_are_found() {
    for word in HISTORY {
        assert_eq!(lines(&format!("fn f() {{}}\n// It {word} here.\n")), [2], "{word}");
    }
    for word in MARKS {
        assert_eq!(lines(&format!("/// {word}: more.\nfn f() {{}}\n")), [1], "{word}");
    }
    assert_eq!(lines("fn f() {\n    todo!()\n}\n#[ignore = \"slow\"]\nfn g() {}"), [2, 4]);
    assert_eq!(lines("// Previously it was so.\n"), [1]);
}

#[test]
fn strings_and_parts_of_words_are_free() {
    assert_eq!(lines("const A: &str = \"TODO, previously\"; // a preview of XXXL\n"), [0; 0]);
}
