use super::*;

#[test]
fn every_built_in_trace_decodes_to_what_was_recorded() {
    let events: Vec<(&str, usize)> = BUILT_IN
        .iter()
        .map(|trace| (trace.name, load(trace.name).map(|loaded| loaded.trace.ops().len()).unwrap()))
        .collect();
    assert_eq!(events, [("sqlite", 400_316), ("jq", 241_490), ("perl", 101_300)]);
}

#[test]
fn the_default_is_built_in() {
    assert!(BUILT_IN.iter().any(|trace| trace.name == DEFAULT));
}

#[test]
fn a_missing_file_is_answered_with_the_built_in_names() {
    let message = load("no/such/file.trace").unwrap_err().to_string();
    assert!(message.contains("no/such/file.trace"), "{message}");
    assert!(message.contains("sqlite, jq, perl"), "{message}");
}
