//! This program in the place of the compiler: a test gets the installed allocator, everything else is compiled as ever.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::tidy::lexer::split;

/// The variable with the path of the library; this program is a compiler exactly if it is set and `rustc` comes first.
pub(super) const LIBRARY: &str = "FORGE_INSTALLED_LIBRARY";

/// Does the work of the compiler if cargo has called this program instead of it.
pub(crate) fn run() -> Option<ExitCode> {
    let library = std::env::var_os(LIBRARY)?;
    let mut words = std::env::args_os().skip(1);
    let compiler = words.next().filter(|word| Path::new(word).file_stem() == Some(OsStr::new("rustc")))?;
    let arguments: Vec<OsString> = words.collect();
    let added = added(&arguments, Path::new(&library));
    let status = Command::new(&compiler).args(&arguments).args(added).status();
    Some(match status.map(|status| status.code()) {
        Ok(Some(code)) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Ok(None) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: cannot start {}: {error}", compiler.to_string_lossy());
            ExitCode::FAILURE
        }
    })
}

/// Returns what is added to the arguments of the compiler: nothing but for a test without an allocator of its own.
///
/// The last flag puts the library into the list of files whose change means that the test is compiled again.
fn added(arguments: &[OsString], library: &Path) -> Vec<OsString> {
    let is_test = arguments.iter().any(|word| word == "--test");
    let sources = arguments.iter().map(Path::new).filter(|path| path.extension() == Some(OsStr::new("rs")));
    if !is_test || sources.into_iter().any(has_allocator) {
        return Vec::new();
    }
    let with = |word: &str, path: &Path| {
        let mut word = OsString::from(word);
        word.push(path);
        word
    };
    let dependencies = library.parent().and_then(Path::parent).unwrap_or(library).join("deps");
    vec![
        "-Zunstable-options".into(),
        "--extern".into(),
        with("force:installed=", library),
        "-L".into(),
        with("dependency=", &dependencies),
        "-Zbinary-dep-depinfo".into(),
    ]
}

/// Returns whether the crate of this root file declares a global allocator, as the few that do here do.
pub(super) fn has_allocator(source: &Path) -> bool {
    std::fs::read_to_string(source).is_ok_and(|text| split(&text).code.contains("#[global_allocator]"))
}

#[cfg(test)]
mod tests;
