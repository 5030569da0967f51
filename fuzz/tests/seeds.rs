//! The committed seeds, run by the stable compiler: each target has some, all are small, and all pass.

use std::fs;
use std::path::Path;

use forge_fuzz::{abi, arenas, collections, decode, heaps, layouts, runs, slabs, traces, wrappers};

/// The largest seed in bytes: seeds are read by people, too.
const LARGEST: usize = 1024;

fn each_seed(target: &str, at_least: usize, mut run: impl FnMut(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut count = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() <= LARGEST, "{}", path.display());
        println!("{}", path.display());
        run(&bytes);
        count += 1;
    }
    assert!(count >= at_least, "{count} seeds for {target}");
}

#[test]
fn the_functions_of_c_pass_theirs() {
    each_seed("abi", 8, |bytes| abi::run(&decode(bytes).unwrap()));
}

#[test]
fn arenas_pass_theirs() {
    each_seed("arenas", arenas::SUBJECTS.len(), |bytes| arenas::run(&decode(bytes).unwrap()));
}

#[test]
fn collections_pass_theirs() {
    each_seed("collections", collections::SUBJECTS.len(), |bytes| collections::run(&decode(bytes).unwrap()));
}

#[test]
fn heaps_pass_theirs() {
    for (target, subjects) in [
        ("tlsf", &heaps::TLSF[..]),
        ("free_list", &heaps::FREE_LIST),
        ("slab_heap", &heaps::SLAB_HEAP),
        ("buddy", &heaps::BUDDY),
    ] {
        each_seed(target, subjects.len(), |bytes| heaps::run(&decode(bytes).unwrap(), subjects));
    }
}

#[test]
fn pages_and_ids_pass_theirs() {
    for (target, subjects) in [("pages", runs::PAGES), ("ids", runs::IDS)] {
        each_seed(target, subjects.len(), |bytes| runs::run(&decode(bytes).unwrap(), &subjects));
    }
}

#[test]
fn layouts_pass_theirs() {
    each_seed("layouts", 1, |bytes| layouts::run(&decode(bytes).unwrap()));
}

#[test]
fn slabs_pass_theirs() {
    each_seed("slabs", slabs::SUBJECTS.len(), |bytes| slabs::run(&decode(bytes).unwrap()));
}

#[test]
fn traces_pass_theirs() {
    each_seed("traces", usize::from(traces::KINDS), traces::run);
}

#[test]
fn wrappers_pass_theirs() {
    each_seed("wrappers", wrappers::SUBJECTS.len(), |bytes| wrappers::run(&decode(bytes).unwrap()));
}
