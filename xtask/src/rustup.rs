//! What the machine's Rust installation has, and the few parts of it that a gate may install on the way.
//!
//! Every function returns `Skipped` with the reason where a part is missing and cannot be had; no function installs a
//! nightly toolchain.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::report::{Clock, Outcome, Stop};
use crate::step::Step;

/// The longest that one installation may take.
const INSTALL_LIMIT: Duration = Duration::from_secs(180);

/// Whether an installation did not succeed in this run; a machine without network is asked once.
static INSTALLING_IS_HOPELESS: AtomicBool = AtomicBool::new(false);

/// Returns the triple of this machine, such as `x86_64-unknown-linux-gnu`.
pub(crate) fn host() -> Result<String, Stop> {
    let version =
        Step::new("rustc").args(["-vV"]).read().ok_or_else(|| String::from("cannot run rustc -vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or_else(|| String::from("rustc -vV names no host"))?.to_string())
}

/// Makes sure that a nightly toolchain with these components is there.
pub(crate) fn need_nightly(components: &[&str], clock: Clock) -> Outcome {
    if !toolchains()?.iter().any(|name| is_toolchain(name, "nightly")) {
        return Err(Stop::Skipped("no nightly toolchain is installed".into()));
    }
    for component in components {
        let list = Step::new("rustup").args(["component", "list", "--installed", "--toolchain", "nightly"]);
        if !list.read().unwrap_or_default().lines().any(|line| line.starts_with(component)) {
            install(&["component", "add", component, "--toolchain", "nightly"], clock)?;
        }
    }
    Ok(())
}

/// Makes sure that the toolchain of one exact version is there.
pub(crate) fn need_version(version: &str, clock: Clock) -> Outcome {
    if toolchains()?.iter().any(|name| is_toolchain(name, version)) {
        return Ok(());
    }
    install(&["toolchain", "install", version, "--profile", "minimal"], clock)
}

/// Makes sure that the standard library of `target` is there for the toolchain that runs this program.
pub(crate) fn need_target(target: &str, clock: Clock) -> Outcome {
    toolchains()?;
    let installed = Step::new("rustup").args(["target", "list", "--installed"]).read().unwrap_or_default();
    if installed.lines().any(|line| line.trim() == target) {
        return Ok(());
    }
    install(&["target", "add", target], clock)
}

/// Returns the names of the installed toolchains.
fn toolchains() -> Result<Vec<String>, Stop> {
    let list = Step::new("rustup").args(["toolchain", "list"]).read();
    let list = list.ok_or_else(|| Stop::Skipped("rustup is not available".into()))?;
    Ok(list.lines().filter_map(|line| line.split_whitespace().next()).map(String::from).collect())
}

/// Returns whether `name`, as rustup lists it, is the toolchain `wanted`, for whatever machine.
fn is_toolchain(name: &str, wanted: &str) -> bool {
    name == wanted
        || name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('-') && !rest[1..].starts_with("20"))
}

/// Runs rustup; a failure is a skip of the gate that asked, because the network is not the change's fault.
fn install(arguments: &[&str], clock: Clock) -> Outcome {
    let line = arguments.join(" ");
    // Relaxed: one thread runs all gates.
    if INSTALLING_IS_HOPELESS.load(Ordering::Relaxed) {
        return Err(Stop::Skipped(format!(
            "needs `rustup {line}`, and rustup could not install another part before"
        )));
    }
    let step = Step::new("rustup").args(arguments.iter().copied());
    if step.run(clock.at_most(INSTALL_LIMIT)).is_ok() {
        return Ok(());
    }
    INSTALLING_IS_HOPELESS.store(true, Ordering::Relaxed);
    Err(Stop::Skipped(format!("`rustup {line}` did not succeed")))
}

#[cfg(test)]
mod tests;
