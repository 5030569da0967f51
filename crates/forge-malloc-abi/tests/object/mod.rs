//! Where the tests find the shared object, and how they say that there is none.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Returns the shared object in its shipped build, which cargo makes if it is not there, or says why there is none.
///
/// Cargo builds no shared object for a test.
pub(crate) fn object() -> Result<&'static Path, &'static str> {
    static OBJECT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || {
        let (host, target) = (env!("FORGE_HOST"), env!("FORGE_TARGET"));
        if host != target || !cfg!(target_os = "linux") {
            return Err("programs are preloaded on the Linux that builds them".into());
        }
        let features = match (cfg!(feature = "hardened"), cfg!(feature = "interruptible")) {
            (true, _) => "hardened",
            (_, true) => "interruptible",
            _ => "",
        };
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let output = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--profile", "preload", "--package", "forge-malloc-abi"])
            .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "--target-dir"])
            .arg(target)
            .args(["--features", features])
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(target.join("preload/libforge_malloc.so"))
    };
    OBJECT.get_or_init(build).as_deref().map_err(String::as_str)
}

/// Writes past the capture of the test harness, so that nobody takes a skipped test for a passed one.
pub(crate) fn skip<T>(test: &str, reason: &str) -> Option<T> {
    let line = format!("SKIPPED {test}: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    None
}
