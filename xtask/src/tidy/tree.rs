//! The text files of the repository, with Rust files already split into code and comments.

use std::path::Path;

use super::lexer::{Split, split};
use crate::step::Step;
use crate::workspace::root;

/// One text file; `path` is relative to the repository, with `/` between its parts.
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
    /// Code and comments, if it is a Rust file.
    pub(super) rust: Option<Split>,
    test: bool,
}

impl File {
    fn new(path: &str, text: String) -> Self {
        let rust = path.ends_with(".rs").then(|| split(&text));
        let mut parts = path.split('/');
        let test = parts.any(|part| matches!(part, "tests" | "tests.rs" | "benches" | "fuzz"));
        Self { path: path.into(), text, rust, test }
    }

    /// Returns whether the file is compiled for tests and benchmarks only.
    pub(super) fn is_test(&self) -> bool {
        self.test
    }

    /// Returns whether the file is a module of unit tests: `tests.rs` beside what it tests, or a part of it.
    ///
    /// Such a file is a private child of its module: it inherits what that allows, and its path says what it tests.
    pub(super) fn is_unit_test(&self) -> bool {
        let inside =
            self.path.split_once("src/").filter(|(before, _)| before.is_empty() || before.ends_with('/'));
        inside.is_some_and(|(_, rest)| rest.split('/').any(|part| matches!(part, "tests" | "tests.rs")))
    }

    /// Returns the paths, without their ending, of the modules that this file declares under `#[cfg(test)]`.
    fn test_modules(&self) -> Vec<String> {
        let Some(split) = &self.rust else { return Vec::new() };
        let stem = self.path.trim_end_matches(".rs");
        let (parent, name) = stem.rsplit_once('/').unwrap_or(("", stem));
        let directory = if matches!(name, "lib" | "main" | "mod") { parent } else { stem };
        let items = split.code.split("#[cfg(test)]").skip(1).filter_map(|item| item.split([';', '{']).next());
        let modules = items.filter_map(|head| head.split_once("mod ").map(|(_, name)| name.trim()));
        modules.map(|name| format!("{directory}/{name}")).collect()
    }

    /// Returns the name of the crate below `crates/` that the file belongs to.
    pub(super) fn member(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }
}

/// Every file that is tracked or would be added by the next commit.
pub(super) struct Tree {
    files: Vec<File>,
}

impl Tree {
    /// Reads the repository. Files that are not UTF-8 are left out: they are data.
    pub(super) fn load() -> Result<Self, String> {
        let root = root();
        let listing =
            Step::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).read();
        let mut paths: Vec<String> = if let Some(listing) = listing {
            listing.split_terminator('\0').map(String::from).collect()
        } else {
            println!("git cannot list the files; reading the directory instead");
            let mut paths = Vec::new();
            walk(&root, "", &mut paths)
                .map_err(|error| format!("cannot list {}: {error}", root.display()))?;
            paths
        };
        paths.sort();
        paths.dedup();
        let read = |path: String| Some(File::new(&path, std::fs::read_to_string(root.join(&path)).ok()?));
        Ok(Self::of(paths.into_iter().filter_map(read).collect()))
    }

    /// Returns the tree of these files, with those marked that only tests use.
    fn of(mut files: Vec<File>) -> Self {
        let modules: Vec<String> = files.iter().flat_map(File::test_modules).collect();
        for file in &mut files {
            let stem = file.path.trim_end_matches(".rs");
            let belongs = |module: &String| {
                stem.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            file.test |= modules.iter().any(belongs);
        }
        Self { files }
    }

    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path)
    }

    pub(super) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Returns the Rust files with their code and comments.
    pub(super) fn rust(&self) -> impl Iterator<Item = (&File, &Split)> {
        self.files.iter().filter_map(|file| Some((file, file.rust.as_ref()?)))
    }

    /// Returns a tree of these files, for a test that plants a violation.
    #[cfg(test)]
    pub(super) fn planted(files: &[(&str, &str)]) -> Self {
        Self::of(files.iter().map(|(path, text)| File::new(path, (*text).to_string())).collect())
    }
}

/// Collects files below `directory`, without what git would ignore here.
fn walk(root: &Path, directory: &str, paths: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(root.join(directory))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if directory.is_empty() { name.clone() } else { format!("{directory}/{name}") };
        let ignored =
            directory.is_empty() && (name.starts_with("target") || matches!(&*name, ".git" | ".venv"));
        match entry.file_type()? {
            kind if kind.is_dir() && !ignored => walk(root, &path, paths)?,
            kind if kind.is_file() => paths.push(path),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
