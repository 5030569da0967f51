//! Writes the committed seeds: `cargo run --example seeds` in this directory.
//!
//! A seed is small and says one thing: one subject of a target with random bytes behind it, or one trace in one format.
//! The same bytes come out on every machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use forge_fuzz::{arenas, collections, heaps, runs, slabs, traces, wrappers};
use forge_trace::format::{binary, text};
use forge_trace::generate::{Parameters, workload};
use forge_trace::random::Random;

fn main() -> io::Result<()> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for (index, subject) in arenas::SUBJECTS.iter().enumerate() {
        write(seeds.join("arenas"), &format!("{subject:?}"), &behind(index as u8, 240))?;
    }
    for (index, subject) in collections::SUBJECTS.iter().enumerate() {
        write(seeds.join("collections"), &format!("{subject:?}"), &behind(index as u8, 400))?;
    }
    for (index, subject) in slabs::SUBJECTS.iter().enumerate() {
        write(seeds.join("slabs"), &format!("{subject:?}"), &behind(index as u8, 300))?;
    }
    for (index, subject) in wrappers::SUBJECTS.iter().enumerate() {
        write(seeds.join("wrappers"), &format!("{subject:?}"), &behind(index as u8, 300))?;
    }
    for (target, subjects) in [
        ("tlsf", &heaps::TLSF[..]),
        ("free_list", &heaps::FREE_LIST),
        ("slab_heap", &heaps::SLAB_HEAP),
        ("buddy", &heaps::BUDDY),
    ] {
        for (index, (name, _)) in subjects.iter().enumerate() {
            write(seeds.join(target), name, &behind(index as u8, 400))?;
        }
    }
    for (target, subjects) in [("pages", runs::PAGES), ("ids", runs::IDS)] {
        for (index, (name, _)) in subjects.iter().enumerate() {
            write(seeds.join(target), name, &behind(index as u8, 400))?;
        }
    }
    for number in 0..8 {
        write(seeds.join("abi"), &format!("history_{number}"), &behind(number, 600))?;
    }
    for number in 0..4 {
        write(seeds.join("layouts"), &format!("numbers_{number}"), &behind(number, 18))?;
    }
    trace_seeds(&seeds.join("traces"))
}

/// Returns `head` and random bytes behind it, `count` bytes together.
fn behind(head: u8, count: usize) -> Vec<u8> {
    let mut random = Random::new(u64::from(head) + 1);
    let tail = (1..count).map(|_| random.below(256) as u8);
    core::iter::once(head).chain(tail).collect()
}

fn trace_seeds(directory: &Path) -> io::Result<()> {
    let generate = workload("mixed").map(|workload| workload.generate).ok_or(io::ErrorKind::NotFound)?;
    let trace = generate(&Parameters { live_blocks: 8, ..Parameters::new(1, 24) });
    let text = text::write_text(&trace);
    let file = binary::write_binary(&trace);
    let body = &file[binary::MAGIC.len() + 1..file.len() - 8];
    let rep = b"1000\n2\n5\n1\na 0 512\na 1 128\nr 0 640\nf 1\nf -1\n";
    let hand_made =
        "# every kind of line\na 0 0 1 0\nz 1 4096 4096 65535\n\nr 0 9223372036854775807 1\nf 1 2\n";
    let seeds: [(&str, u8, &[u8]); 9] = [
        ("binary_whole", 0, &file),
        ("text", 1, text.as_bytes()),
        ("text_every_line", 1, hand_made.as_bytes()),
        ("rep", 2, rep),
        ("binary_body", 3, body),
        ("zstd_of_text", 4, text.as_bytes()),
        ("zstd_stored", 5, &traces::zstd_file(hand_made.as_bytes())[4..]),
        ("zstd_compressed", 5, &COMPRESSED[4..]),
        ("history", 6, &behind(9, 200)),
    ];
    seeds
        .iter()
        .try_for_each(|(name, kind, rest)| write(directory.to_path_buf(), name, &[&[*kind], *rest].concat()))
}

/// A compressed trace, as the `zstd` command writes it.
const COMPRESSED: &[u8] = include_bytes!("../../crates/forge-trace/src/format/zstd/many_events.zst");

fn write(directory: PathBuf, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(name), bytes)
}
