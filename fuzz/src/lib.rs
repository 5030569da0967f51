//! What the fuzz targets run: one module per target, each a function from an input to a panic or nothing.
//!
//! ```text
//!   bytes --arbitrary--> input --> the crate under test --+
//!                          |                              +--> the same? ----> next input
//!                          +-----> model or oracle -------+         \
//!                                                                    +-------> panic
//! ```
//!
//! | module | input | oracle |
//! |---|---|---|
//! | [`abi`] | a history of calls of the functions of C | a map of the live blocks |
//! | [`arenas`] | an arena, its backing, a failing system call, a history | the shadow model of `forge_trace` |
//! | [`slabs`] | a slab, its policy, a history | the same |
//! | [`wrappers`] | a layout, two wrappers, a history | the same |
//! | [`heaps`], a target for each family | an exclusive heap, its regions, a history | a map of the live blocks |
//! | [`runs`], as `pages` and as `ids` | an allocator of pages or ids, its ranges, a history | a list of all units |
//! | [`collections`] | steps of a program that uses a vector and a map | the same steps on the collections of `std` |
//! | [`traces`] | a file in one of the trace formats | the trace survives being written and read again |
//! | [`layouts`] | a size, an alignment, a count | the same arithmetic in 128 bits |
//!
//! # Design
//!
//! Every byte string is a valid input, so no execution is spent on rejected ones, and a short input is a short history.
//! The bodies live in a library and not in the targets, so that a stable compiler runs the committed seeds as tests. They are
//! generic or inline, and so compiled by those who run them: the wrappers alone are hundreds of stacks, which take minutes to
//! instrument, and the target of a heap is built without them.

use arbitrary::{Arbitrary, Unstructured};

pub mod abi;
pub mod arenas;
pub mod collections;
pub mod heaps;
pub mod history;
pub mod layouts;
pub mod runs;
pub mod slabs;
pub mod traces;
pub mod wrappers;

/// Returns the input that `bytes` stand for, as the fuzzer reads them. O(bytes).
///
/// # Errors
///
/// What the decoder of `T` reports; those of this crate accept every byte string.
pub fn decode<'a, T: Arbitrary<'a>>(bytes: &'a [u8]) -> arbitrary::Result<T> {
    T::arbitrary_take_rest(Unstructured::new(bytes))
}

/// Returns the value.
///
/// # Panics
///
/// With the violation, if there is one.
#[track_caller]
fn demand<T>(result: Result<T, forge_trace::shadow::Violation>) -> T {
    result.unwrap_or_else(|violation| panic!("{violation}"))
}
