//! What is code, what is comment, and what is neither.

use super::*;

#[test]
fn comments_strings_and_code_are_told_apart() {
    let source = "let a = \"// no\"; // yes \"\n/* in /* deep */ still */ b('\"', '\\'', \"x\\\"y\");\n";
    let halves = split(source);
    assert_eq!(halves.code.lines().next(), Some("let a = \"     \";         "));
    assert!(halves.comments.contains("// yes"));
    assert!(!halves.comments.contains("no"));
    assert!(halves.code.contains("b("));
    assert!(!halves.code.contains("still"));
    assert_eq!(halves.code.matches('"').count(), 4);
    assert_eq!(halves.code.lines().count(), source.lines().count());
}

#[test]
fn raw_strings_lifetimes_and_names_ending_in_r_are_read() {
    let halves = split("r#\"unsafe \"quoted\" \"# fn f<'a>(var: &'a str) { br\"unsafe\"; r#type }");
    assert!(!halves.code.contains("unsafe") && !halves.code.contains("quoted"));
    assert!(halves.code.contains("fn f<'a>(var: &'a str)"));
    assert!(halves.code.contains("r#type"));
}

#[test]
fn empty_line_comment_ends_with_its_line() {
    let halves = split("//\ncode\n///\ncode");
    assert_eq!(halves.code.lines().filter(|line| *line == "code").count(), 2);
}

#[test]
fn halves_keep_bytes_of_lines_apart() {
    let halves = split("// é ──\nlet x = 1;");
    assert_eq!(halves.code.lines().nth(1), Some("let x = 1;"));
    assert!(halves.comments.contains("é ──"));
}

#[test]
fn items_of_tests_are_blanked() {
    let code =
        without_tests("fn a() { x }\n#[cfg(test)]\nfn b() { { y } }\n#[cfg(test)]\nmod tests;\nfn c() {}");
    assert!(code.contains("x") && code.contains("fn c()"));
    assert!(!code.contains('y') && !code.contains("mod tests"));
    assert_eq!(code.lines().count(), 6);
}

#[test]
fn words_are_whole() {
    assert_eq!(word_places("unsafe unsafe_code (unsafe)", "unsafe").collect::<Vec<_>>(), [0, 20]);
    assert_eq!(line_of("a\nb\nc", 4), 3);
}
