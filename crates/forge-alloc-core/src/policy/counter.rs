//! A number that a shared reference can step: the state of the counting fault policies.
//!
//! # Design
//!
//! The step is one atomic read-modify-write where the target has it. Small cores without compare-and-swap have plain
//! atomic loads and stores; there an interrupt between the two can lose a step, which delays a planted fault and harms
//! nothing. The counter orders no other memory, so it stays on `core`'s relaxed atomics under model checking as well,
//! and its constructor stays `const`.

#[cfg(target_has_atomic = "ptr")]
mod swapping;
#[cfg(target_has_atomic = "ptr")]
pub(super) use swapping::Counter;

#[cfg(not(target_has_atomic = "ptr"))]
mod storing;
#[cfg(not(target_has_atomic = "ptr"))]
pub(super) use storing::Counter;
