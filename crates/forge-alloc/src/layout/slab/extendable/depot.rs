//! Free slots between the magazines of the threads and the segments: bundles of half a magazine, under the lock.
//!
//! ```text
//!   bundles   [ oldest ] [ .. ] [ newest ] [  -  ]        a ring; each up to half a magazine, the slot freed last at its end
//!               |                  ^  |
//!     evicted, slot by slot     put and taken, a bundle at once
//! ```
//!
//! # Invariants
//!
//! - (I1) The slots of all bundles are distinct slots of segments, in use as far as their segments can tell, and neither
//!   handed out nor in a magazine.
//! - (I2) `count <= limit <= BUNDLES`; the bundles from `oldest` on, around the ring, are in use, and none of them is empty.
//!
//! # Operations
//!
//! `put` and `take`: O(1), a copy of half a magazine. `take_one`: O(1).
//!
//! # Design
//!
//! A slot that goes back to its segment touches the segment's header, which the caches have lost if there are many
//! segments, and so does taking it again. A burst of frees and allocations that is larger than a magazine is served here
//! without a look at any segment: the magazine layer of Bonwick and Adams ("Magazines and Vmem", 2001). The depot is
//! everyone's, so its slots are kept from nobody; but they keep their segments from becoming empty, hence the limit.

use core::ptr::NonNull;

use super::magazine::{BUNDLE, Bundle};

/// The largest number of bundles. The model checker needs few.
const BUNDLES: usize = if cfg!(loom) { 1 } else { 4 };

/// The bundles of an extendable slab.
pub(super) struct Depot {
    bundles: [Bundle; BUNDLES],
    oldest: usize,
    count: usize,
    limit: usize,
}

impl Depot {
    /// Returns an empty depot for up to `slots` slots, which come in bundles of `bundle`. O(1).
    pub(super) fn new(slots: usize, bundle: usize) -> Self {
        debug_assert!(bundle <= BUNDLE);
        let limit = slots.checked_div(bundle).unwrap_or(0).min(BUNDLES);
        Self { bundles: [const { Bundle::EMPTY }; BUNDLES], oldest: 0, count: 0, limit }
    }

    /// Returns the place for one more bundle, which the caller fills with what `put` shall be there, and the oldest bundle
    /// if it had to make room; no place if the depot takes none. O(1).
    pub(super) fn put(&mut self) -> (Option<&mut Bundle>, Option<Bundle>) {
        if self.limit == 0 {
            return (None, None);
        }
        let evicted = if self.count == self.limit { self.take_oldest() } else { None };
        let place = (self.oldest + self.count) % BUNDLES;
        self.count += 1;
        (self.bundles.get_mut(place), evicted)
    }

    /// Takes the newest bundle, which stays readable where it is. O(1).
    pub(super) fn take(&mut self) -> Option<&Bundle> {
        self.count = self.count.checked_sub(1)?;
        self.bundles.get((self.oldest + self.count) % BUNDLES)
    }

    /// Takes the slot that was freed last. O(1).
    pub(super) fn take_one(&mut self) -> Option<NonNull<u8>> {
        let newest = self.bundles.get_mut((self.oldest + self.count.checked_sub(1)?) % BUNDLES)?;
        let slot = newest.pop();
        if newest.is_empty() {
            self.count -= 1;
        }
        slot
    }

    /// Takes the oldest bundle. O(1).
    fn take_oldest(&mut self) -> Option<Bundle> {
        let oldest = self.bundles.get(self.oldest).copied();
        self.oldest = (self.oldest + 1) % BUNDLES;
        self.count -= 1;
        oldest
    }
}

#[cfg(test)]
mod tests;
