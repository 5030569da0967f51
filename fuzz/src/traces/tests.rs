use forge_trace::Trace;
use forge_trace::format::{binary, text};
use forge_trace::generate::{Parameters, WORKLOADS};

use super::{KINDS, binary_file, run, zstd_file};

#[test]
fn every_workload_passes_in_every_form() {
    for workload in WORKLOADS {
        let trace = (workload.generate)(&Parameters::new(1, 200));
        let text = text::write_text(&trace);
        let binary = binary::write_binary(&trace);
        for kind in [0, 1, 4] {
            run(&[&[kind], text.as_bytes()].concat());
        }
        run(&[&[0], &binary[..]].concat());
        run(&[&[3], &binary[binary::MAGIC.len() + 1..binary.len() - 8]].concat());
        run(&[&[5], &zstd_file(text.as_bytes())[4..]].concat());
    }
}

#[test]
fn files_made_here_are_read_as_what_they_hold() {
    let trace = Trace::parse("fuzz", b"a 0 100 16 0\nz 1 0 8 3\nr 0 300 0\nf 0 0\n").unwrap();
    let written = binary::write_binary(&trace);
    assert_eq!(binary_file(&written[binary::MAGIC.len() + 1..written.len() - 8]), written);
    assert_eq!(Trace::parse("fuzz", &zstd_file(text::write_text(&trace).as_bytes())).as_ref(), Ok(&trace));
}

#[test]
fn files_without_meaning_are_refused_in_every_kind() {
    for kind in 0..KINDS {
        run(&[kind]);
        run(&[kind, b'a', b' ', 0xFF, b'\n']);
        run(&[&[kind][..], &[0xFF; 100]].concat());
    }
}
