//! When a request must fail: planted exhaustion, so that tests reach the error paths that memory rarely takes.
//!
//! # Design
//!
//! A policy is asked once per request, before the allocator underneath is touched, so a planted fault consumes nothing.
//! The verdict takes the layout only: a policy that needs more (a call site, a thread) carries it itself.

use super::counter::Counter;
use crate::NonZeroLayout;

/// Decides which requests are made to fail.
pub trait AllocFaultPolicy {
    /// Returns whether the request for `layout` must fail. Called once per request; must not panic.
    fn should_fail(&self, layout: NonZeroLayout) -> bool;
}

/// The policy under which nothing fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct NeverFail;

impl AllocFaultPolicy for NeverFail {
    #[inline]
    fn should_fail(&self, _: NonZeroLayout) -> bool {
        false
    }
}

/// The policy under which everything fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysFail;

impl AllocFaultPolicy for AlwaysFail {
    #[inline]
    fn should_fail(&self, _: NonZeroLayout) -> bool {
        true
    }
}

/// The policy under which a number of requests succeeds and every later one fails.
///
/// # Examples
///
/// ```
/// use forge_alloc_core::{AllocFaultPolicy, FailAfter, NonZeroLayout};
///
/// let policy = FailAfter::new(2);
/// let layout = NonZeroLayout::from_size_align(8, 8).unwrap();
/// assert_eq!([(); 4].map(|()| policy.should_fail(layout)), [false, false, true, true]);
/// ```
#[derive(Debug)]
pub struct FailAfter {
    remaining: Counter,
}

impl FailAfter {
    /// Returns the policy that lets `successes` requests through. O(1).
    pub const fn new(successes: usize) -> Self {
        Self { remaining: Counter::new(successes) }
    }

    /// Returns how many requests will still succeed. O(1).
    pub fn remaining(&self) -> usize {
        self.remaining.value()
    }
}

impl AllocFaultPolicy for FailAfter {
    fn should_fail(&self, _: NonZeroLayout) -> bool {
        self.remaining.step(|left| left.saturating_sub(1)) == 0
    }
}

/// The policy under which every `period`-th request fails: for 3, the third, the sixth, and so on.
#[derive(Debug)]
pub struct FailEveryNth {
    period: usize,
    /// Requests since the last planted fault; below `period`.
    passed: Counter,
}

impl FailEveryNth {
    /// Returns the policy that fails every `period`-th request. O(1).
    ///
    /// # Panics
    ///
    /// If `period` is zero; in a constant, that is a build error.
    pub const fn new(period: usize) -> Self {
        assert!(period != 0, "period must be >= 1");
        Self { period, passed: Counter::new(0) }
    }
}

impl AllocFaultPolicy for FailEveryNth {
    fn should_fail(&self, _: NonZeroLayout) -> bool {
        let last = self.period - 1;
        self.passed.step(|passed| if passed >= last { 0 } else { passed + 1 }) >= last
    }
}

/// The policy under which requests of some size and above fail.
#[derive(Clone, Copy, Debug)]
pub struct FailOnSize {
    /// The smallest size in bytes that fails.
    pub min_fail_bytes: usize,
}

impl FailOnSize {
    /// Returns the policy that fails requests of `min_fail_bytes` bytes and more. O(1).
    pub const fn new(min_fail_bytes: usize) -> Self {
        Self { min_fail_bytes }
    }
}

impl AllocFaultPolicy for FailOnSize {
    #[inline]
    fn should_fail(&self, layout: NonZeroLayout) -> bool {
        layout.size().get() >= self.min_fail_bytes
    }
}
