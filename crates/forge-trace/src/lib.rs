//! One language for allocator histories: what a program asked of its allocator, call by call.
//!
//! ```text
//!   program --(recorder)--> file ---+                          +--> replay    how fast, how much memory
//!                                   +--> Trace = [Op, Op, ...] -+
//!   seed --(generate)---------------+                          +--> shadow    is every promise kept
//!   fuzzer --(random_ops)-----------------> [Op, Op, ...] -------->
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`Op`] | one call: allocate, resize or free a numbered block |
//! | [`Trace`] | a history that makes sense: checked once, when it is made |
//! | [`format`](mod@format) | the files: text, zstd-compressed text, malloc-lab `.rep`, and a compact binary form |
//! | [`generate`] | synthetic workloads, deterministic from a seed |
//! | [`replay`](mod@replay) | a trace run against any [`Allocator`](forge_alloc_core::Allocator), at full speed |
//! | [`shadow`] | operations run against an allocator next to a model of what it must do |
//!
//! Tests, fuzzers, benchmarks and trace files all speak `Op`, so a history that fails in one of them can be carried
//! to any other.
//!
//! # Examples
//!
//! ```
//! use forge_trace::Trace;
//!
//! let trace = Trace::parse("example.trace", b"a 0 100 16 0\nr 0 300 0\nf 0 0\n").unwrap();
//! assert_eq!(trace.stats().peak_live_bytes, 300);
//!
//! let error = Trace::parse("example.trace", b"a 0 100 16 0\nf 7 0\n").unwrap_err();
//! assert_eq!(error.line, Some(2));
//! ```
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;

#[cfg(test)]
mod doubles;
mod error;
pub mod format;
pub mod generate;
mod op;
pub mod random;
pub mod replay;
pub mod shadow;
mod trace;

pub use error::TraceError;
pub use op::Op;
pub use replay::{NoObserver, Observer, Outcome, ReplayReport, Replayer, replay};
pub use shadow::{Shadow, Violation, check};
pub use trace::{Trace, TraceStats};
