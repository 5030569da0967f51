//! The word of a thread: where its cache is.
//!
//! | file | how the word is reached |
//! |---|---|
//! | `initial_exec` | two instructions; the linker reserves the word, the loader places it |
//! | `standard` | as the compiler likes: a call in a shared object |

#[cfg_attr(initial_exec, path = "word/initial_exec.rs")]
#[cfg_attr(not(initial_exec), path = "word/standard.rs")]
mod place;

pub(crate) use place::{get, set};

#[cfg(all(test, exported))]
#[path = "word/tests.rs"]
mod tests;
