//! Checks of the sources: rules of ARCHITECTURE.md and CONTRIBUTING.md that the compiler and clippy do not hold.
//!
//! One file per rule. A check is a function from the [`Tree`] of tracked files to findings, so that a test can plant a
//! violation in a tree of two lines.

mod crate_graph;
mod documents;
mod headers;
mod layers;
mod length;
pub(crate) mod lexer;
mod links;
mod machine;
mod os_cfg;
mod panics;
mod test_modules;
mod tree;
mod unsafe_allow;
mod words;

use std::fmt;

use crate::report::{Report, Stop};
use tree::Tree;

/// One violation of one rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.into(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.message)
    }
}

type Check = fn(&Tree) -> Vec<Finding>;

const CHECKS: [(&str, Check); 12] = [
    ("layers", layers::check),
    ("crate graph", crate_graph::check),
    ("cfg of operating systems", os_cfg::check),
    ("unsafe", unsafe_allow::check),
    ("headers", headers::check),
    ("length", length::check),
    ("test modules", test_modules::check),
    ("words", words::check),
    ("machine", machine::check),
    ("panics", panics::check),
    ("links", links::check),
    ("documents", documents::check),
];

/// Adds the gate `tidy`: all checks, with every finding in the log.
pub(crate) fn gate(report: &mut Report) {
    report.gate("tidy", |_| {
        let tree = Tree::load().map_err(Stop::Failed)?;
        println!("{} files", tree.files().len());
        let mut total = 0;
        for (name, check) in CHECKS {
            let findings = check(&tree);
            for finding in &findings {
                println!("{finding} [{name}]");
            }
            total += findings.len();
        }
        if total == 0 { Ok(()) } else { Err(Stop::Failed(format!("{total} findings"))) }
    });
}
