use super::{binary, quoted, text};
use crate::Trace;

const TEXT: &[u8] = b"a 0 24 16 0\nf 0 0\n";

#[test]
fn the_content_decides_and_not_the_name() {
    let trace = Trace::parse("x.trace.zst", TEXT).unwrap();
    assert_eq!(trace.ops().len(), 2);
    let bytes = binary::write_binary(&trace);
    assert_eq!(Trace::parse("x.trace.zst", &bytes), Ok(trace.clone()));
    assert_eq!(text::write_text(&trace).as_bytes(), TEXT);
}

#[test]
fn an_empty_file_is_an_error() {
    let error = Trace::parse("nothing.trace", b"").unwrap_err();
    assert_eq!(alloc::format!("{error}"), "nothing.trace: byte 0: expected a trace, found an empty file");
}

#[test]
fn content_that_is_no_text_is_quoted_safely_and_briefly() {
    let error = Trace::parse("picture.png", &[0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 255]).unwrap_err();
    assert_eq!(error.line, Some(1));
    assert_eq!(quoted(&[b'x'; 100]), "\"xxxxxxxxxxxxxxxxxxxxxxxx\"...");
    assert_eq!(quoted(b"\xFF\""), "\"\u{FFFD}\\\"\"");
}

#[cfg(not(feature = "zstd"))]
#[test]
fn compressed_content_is_named_where_it_cannot_be_read() {
    let error = Trace::parse("x.trace.zst", &super::ZSTD_MAGIC).unwrap_err();
    assert!(error.found.contains("feature `zstd`"), "{error}");
}
