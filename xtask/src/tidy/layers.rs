//! Rooms of `forge-alloc`: a module names only modules of its own room, of rooms to its left, and the crate's facade.
//!
//! ```text
//! sync, forward, report, thread_slot ◀ raw ◀ backing ◀ layout ◀ share ◀ hardening | observe | placement ◀ cache ◀ recipes, kernel
//! ```
//!
//! A room is named through `crate::room`, through a chain of `super` that reaches the root, or through a name that
//! `lib.rs` re-exports from a room. Tests are free: they put blocks of all rooms together.

use std::collections::BTreeMap;

use super::Finding;
use super::lexer::{Split, line_of, word_places};
use super::tree::{File, Tree};

const SOURCES: &str = "crates/forge-alloc/src/";

/// The rooms; those of one row may name each other.
const ORDER: [&[&str]; 8] = [
    &["sync", "forward", "report", "thread_slot"],
    &["raw"],
    &["backing"],
    &["layout"],
    &["share"],
    &["hardening", "observe", "placement"],
    &["cache"],
    &["recipes", "kernel"],
];

fn rank(room: &str) -> Option<usize> {
    ORDER.iter().position(|row| row.contains(&room))
}

/// Reports names of rooms to the right, and rooms without a place in the order.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let re_exports =
        tree.get(&format!("{SOURCES}lib.rs")).and_then(|file| file.rust.as_ref()).map(re_exports);
    let re_exports = re_exports.unwrap_or_default();
    let mut findings = Vec::new();
    for (file, split) in tree.rust().filter(|(file, _)| !file.is_test()) {
        let Some(path) = file.path.strip_prefix(SOURCES).filter(|path| *path != "lib.rs") else { continue };
        let room = path.split(['/', '.']).next().unwrap_or(path);
        let Some(own) = rank(room) else {
            let message = format!("room `{room}` has no place in the order of xtask/src/tidy/layers.rs");
            findings.push(Finding::new(&file.path, 1, message));
            continue;
        };
        for (index, name) in root_names(file, split) {
            let target = re_exports.get(&name).unwrap_or(&name);
            if rank(target).is_some_and(|other| other > own) {
                let message = format!("`{room}` names `{target}`, which is to its right");
                findings.push(Finding::new(&file.path, line_of(&split.code, index), message));
            }
        }
    }
    findings
}

/// Returns every name that the file looks up at the root of the crate, with its place.
fn root_names(file: &File, split: &Split) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    for index in word_places(&split.code, "crate") {
        if let Some(rest) = split.code[index..].strip_prefix("crate::") {
            names.extend(first_segments(rest).into_iter().map(|name| (index, name)));
        }
    }
    // `a/b.rs` and `a/b/mod.rs` are the module a::b, whose root is two `super` away.
    let path = file.path.trim_start_matches(SOURCES).trim_end_matches(".rs").trim_end_matches("/mod");
    let to_root = "super::".repeat(path.split('/').count());
    for (index, _) in split.code.match_indices(&to_root) {
        let rest = &split.code[index + to_root.len()..];
        if !split.code[..index].ends_with("::") && !rest.starts_with("super::") {
            names.extend(first_segments(rest).into_iter().map(|name| (index, name)));
        }
    }
    names
}

/// Returns the first segment of a path, or of each path in a `{group}`.
fn first_segments(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim().chars().take_while(|symbol| symbol.is_alphanumeric() || *symbol == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut depth, mut names, mut start) = (0_usize, Vec::new(), 0);
    for (index, symbol) in group.char_indices() {
        match symbol {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(name(&group[start..index]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(name(&group[start..index]));
                start = index + 1;
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Returns which room each name comes from that `lib.rs` re-exports by `pub use room::..`.
fn re_exports(lib: &Split) -> BTreeMap<String, String> {
    let mut rooms = BTreeMap::new();
    for statement in lib.code.split(';').filter_map(|statement| statement.split("pub use ").nth(1)) {
        let statement = statement.trim().trim_start_matches("crate::");
        let room = statement.split("::").next().unwrap_or(statement);
        if rank(room).is_none() {
            continue;
        }
        let names = statement.split(|symbol: char| !(symbol.is_alphanumeric() || symbol == '_'));
        rooms.extend(
            names.filter(|name| name.starts_with(char::is_uppercase)).map(|name| (name.into(), room.into())),
        );
    }
    rooms
}

#[cfg(test)]
mod tests;
