//! The traces that are built in, and the reading of others.

use std::path::Path;

use forge_trace::Trace;

use crate::failure::UsageError;

/// A recorded run of a real program, compressed, inside this executable.
struct BuiltIn {
    name: &'static str,
    program: &'static str,
    bytes: &'static [u8],
}

static BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "sqlite",
        program: "SQLite: inserts, an index, update, delete, group by, in memory",
        bytes: include_bytes!("../traces/sqlite.trace.zst"),
    },
    BuiltIn {
        name: "jq",
        program: "jq transforming a JSON document of 8,000 elements",
        bytes: include_bytes!("../traces/jq.trace.zst"),
    },
    BuiltIn {
        name: "perl",
        program: "perl: hashes of arrays, join, sort, delete",
        bytes: include_bytes!("../traces/perl.trace.zst"),
    },
];

/// The trace that is compared when none is named.
pub(crate) const DEFAULT: &str = "sqlite";

/// A decoded trace and how to announce it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) trace: Trace,
    pub(crate) title: String,
}

/// Returns the trace that `reference` denotes: a built-in one by its name, else the file at that path.
///
/// # Errors
///
/// The file cannot be read or is no whole, well-formed trace, or holds no operation; the message names the place, what
/// was expected there, and what to do.
pub(crate) fn load(reference: &str) -> Result<Loaded, UsageError> {
    let built_in = BUILT_IN.iter().find(|trace| trace.name == reference);
    let (trace, title) = match built_in {
        Some(found) => (Trace::parse(found.name, found.bytes), format!("{} ({})", found.name, found.program)),
        None => (Trace::read(Path::new(reference)), reference.to_string()),
    };
    let trace = trace.map_err(|error| UsageError(format!("{error}\n{}", advice(reference))))?;
    if trace.ops().is_empty() {
        let message =
            format!("{reference}: expected at least one operation, found none\n{}", advice(reference));
        return Err(UsageError(message));
    }
    Ok(Loaded { trace, title })
}

/// What to do about a trace that could not be loaded.
fn advice(reference: &str) -> String {
    let names: Vec<&str> = BUILT_IN.iter().map(|trace| trace.name).collect();
    let names = names.join(", ");
    if Path::new(reference).exists() {
        format!(
            "Record the trace again, or compare a built-in one: {names}. The format is under `compare --help`."
        )
    } else {
        format!("Give the path of a trace file, or the name of a built-in trace: {names}.")
    }
}

#[cfg(test)]
mod tests;
