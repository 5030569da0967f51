//! Who takes part.

use std::path::{Path, PathBuf};

use crate::comparison::build;

/// One allocator, and the program that declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contestant {
    /// The name, which is that of its program without `with-`.
    pub name: &'static str,
    /// Whether others are compared with it.
    pub side: Side,
    /// The feature without which it is not built, if there is one.
    feature: Option<&'static str>,
}

/// What others are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A profile of the allocator of this workspace.
    Ours,
    /// Another one: the best of these is what ours is compared with.
    Peer,
    /// The hand-written minimum.
    Limit,
}

/// Everyone, first the one of ours that is compared with the peers.
///
/// ferroc is missing because it needs an unstable compiler.
pub const ROSTER: [Contestant; 11] = [
    Contestant { name: "forge", side: Side::Ours, feature: None },
    Contestant { name: "hardened", side: Side::Ours, feature: None },
    Contestant { name: "floor", side: Side::Limit, feature: None },
    Contestant { name: "system", side: Side::Peer, feature: None },
    Contestant { name: "mimalloc2", side: Side::Peer, feature: Some("contestants-mimalloc2") },
    Contestant { name: "mimalloc3", side: Side::Peer, feature: Some("contestants-mimalloc3") },
    Contestant { name: "snmalloc", side: Side::Peer, feature: Some("contestants-snmalloc") },
    Contestant { name: "jemalloc", side: Side::Peer, feature: Some("contestants-jemalloc") },
    Contestant { name: "tcmalloc", side: Side::Peer, feature: Some("contestants-tcmalloc") },
    Contestant { name: "rpmalloc", side: Side::Peer, feature: Some("contestants-rpmalloc") },
    Contestant { name: "dlmalloc", side: Side::Peer, feature: None },
];

impl Contestant {
    /// Returns the program, in a directory of programs.
    pub fn program(&self, directory: &Path) -> PathBuf {
        directory.join(format!("with-{}{}", self.name, std::env::consts::EXE_SUFFIX))
    }

    /// Returns those of [`ROSTER`] whose programs are in a directory.
    pub fn built(directory: &Path) -> Vec<Self> {
        ROSTER.into_iter().filter(|contestant| contestant.program(directory).exists()).collect()
    }

    /// Builds the program.
    ///
    /// # Errors
    ///
    /// A sentence, if cargo says no: what it needs may be missing here.
    pub fn build(&self) -> Result<(), String> {
        let program = format!("with-{}", self.name);
        let feature = self.feature.into_iter().flat_map(|feature| ["--features", feature]);
        build(self.name, ["--release", "-p", "forge-processes", "--bin", &program].into_iter().chain(feature))
    }
}

/// Returns where the programs are: beside the one that runs.
///
/// # Errors
///
/// A sentence, if the system does not tell where that is.
pub fn directory() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program's own path: {error}"))?;
    program.parent().map(Path::to_path_buf).ok_or_else(|| "this program is in no directory".to_string())
}
