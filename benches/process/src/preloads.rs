//! Shared objects that take the place of the system's malloc: ours, and those that the machine has.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::roster::Side;

/// One shared object, or none for the malloc of the system.
#[derive(Clone, Debug)]
pub struct Preload {
    /// What it is called in tables.
    pub name: &'static str,
    /// What others are compared with.
    pub side: Side,
    /// Where it is.
    object: Option<PathBuf>,
}

/// The objects of peers, by the names under which systems install them.
const PEERS: [(&str, &str); 7] = [
    ("mimalloc2", "libmimalloc.so.2"),
    ("mimalloc3", "libmimalloc.so.3"),
    ("snmalloc", "libsnmallocshim.so"),
    ("jemalloc", "libjemalloc.so.2"),
    ("tcmalloc", "libtcmalloc_minimal.so.4"),
    ("rpmalloc", "librpmalloc.so"),
    ("hoard", "libhoard.so"),
];

/// Where objects are looked for.
const DIRECTORIES: [&str; 4] = ["/usr/local/lib", "/usr/lib64", "/usr/lib", "/lib"];

impl Preload {
    /// Returns the malloc of the system.
    pub fn system() -> Self {
        Self { name: "system", side: Side::Peer, object: None }
    }

    /// Returns an object of ours.
    pub fn ours(name: &'static str, object: PathBuf) -> Self {
        Self { name, side: Side::Ours, object: Some(object) }
    }

    /// Returns the peers that this machine has; for each that it has not, the name of its object.
    pub fn peers() -> (Vec<Self>, Vec<&'static str>) {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (name, file) in PEERS {
            match find(file) {
                Some(object) => found.push(Self { name, side: Side::Peer, object: Some(object) }),
                None => missing.push(file),
            }
        }
        (found, missing)
    }

    /// Lets a command, and whatever it starts, have this malloc.
    pub fn put_before<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        match &self.object {
            Some(object) => command.env("LD_PRELOAD", object),
            None => command.env_remove("LD_PRELOAD"),
        }
    }
}

/// Looks for a file in the directories of libraries, and one level below.
fn find(file: &str) -> Option<PathBuf> {
    let below = |directory: &Path| {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().join(file)).find(|path| path.is_file())
    };
    DIRECTORIES.iter().map(Path::new).find_map(|directory| {
        let here = directory.join(file);
        if here.is_file() { Some(here) } else { below(directory) }
    })
}
