//! The traces of real programs that lie in this crate, read whole and run.
#![cfg(all(feature = "zstd", not(miri)))]

use std::path::{Path, PathBuf};

use forge_trace::format::{binary::write_binary, text::write_text};
use forge_trace::{Trace, TraceError};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("traces").join(name)
}

fn read(name: &str) -> Result<Trace, TraceError> {
    Trace::read(&path(name))
}

#[test]
fn the_counts_are_the_known_ones() {
    for (name, events, blocks, live) in
        [("jq.trace.zst", 241_490, 120_746, 2), ("sqlite.trace.zst", 400_316, 200_149, 16)]
    {
        let trace = read(name).unwrap();
        let stats = trace.stats();
        assert_eq!((stats.events, stats.blocks, stats.live_at_end), (events, blocks, live), "{name}");
        assert_eq!(trace.blocks(), blocks);
        assert_eq!(stats.sizes.iter().sum::<u64>() as usize, stats.blocks + stats.resizes);
    }
}

#[test]
fn the_other_formats_hold_the_same_history() {
    let trace = read("jq.trace.zst").unwrap();
    let bytes = write_binary(&trace);
    assert!(bytes.len() < 5 * trace.ops().len(), "{} bytes", bytes.len());
    assert_eq!(Trace::parse(trace.name(), &bytes).unwrap(), trace);
    assert_eq!(Trace::parse(trace.name(), write_text(&trace).as_bytes()).unwrap(), trace);
}

#[test]
fn a_missing_file_a_directory_and_a_cut_file_are_errors_with_their_name() {
    let message = |result: Result<Trace, TraceError>| result.unwrap_err().to_string();
    let missing = message(Trace::read(&path("missing.trace")));
    assert!(missing.contains("missing.trace: expected a readable trace file, found "), "{missing}");
    let directory = message(Trace::read(&path("")));
    assert!(directory.contains("expected a readable trace file"), "{directory}");

    let whole = std::fs::read(path("jq.trace.zst")).unwrap();
    for cut in (0..whole.len()).step_by(whole.len() / 9) {
        let error = Trace::parse("cut.trace.zst", &whole[..cut]).unwrap_err();
        assert_eq!(error.file, "cut.trace.zst");
    }
}
