//! What threads share: spans of slots, one shelf of them for each class, and blocks on their way between threads.

pub(super) mod batches;
pub(super) mod depot;
pub(super) mod shelf;
pub(super) mod span;
