//! The libraries of the field, each with room for its values from the start.

use slotmap::{DefaultKey, DenseSlotMap};

use super::Pool;
use crate::contestants::Wide;
use crate::harness::Side;

/// Implements [`Pool`] for a library whose pool is `$pool`, whose handles are `$handle` and whose removal is `$remove`.
macro_rules! pool {
    ($contestant:ident, $name:literal, $side:expr, $pool:ty, $handle:ty, $this:ident, $key:ident => $remove:expr) => {
        #[doc = concat!("The pool of ", $name, ".")]
        pub struct $contestant($pool);

        impl Pool for $contestant {
            const NAME: &'static str = $name;
            const SIDE: Side = $side;
            type Handle = $handle;

            fn with_capacity(capacity: usize) -> Self {
                Self(<$pool>::with_capacity(capacity))
            }

            #[inline(always)]
            fn insert(&mut self, value: Wide) -> $handle {
                self.0.insert(value)
            }

            #[inline(always)]
            fn remove(&mut self, $key: $handle) -> Option<Wide> {
                let $this = &mut self.0;
                $remove
            }

            #[inline(always)]
            fn get(&self, handle: $handle) -> Option<&Wide> {
                self.0.get(handle)
            }
        }
    };
}

pool!(SlotMap, "slotmap", Side::Peer, slotmap::SlotMap<DefaultKey, Wide>, DefaultKey, pool, key => pool.remove(key));
pool!(Dense, "slotmap, dense", Side::Peer, DenseSlotMap<DefaultKey, Wide>, DefaultKey, pool, key => pool.remove(key));
pool!(Thunderdome, "thunderdome", Side::Peer, thunderdome::Arena<Wide>, thunderdome::Index, pool, key => pool.remove(key));
pool!(Unguarded, "slab, no generations", Side::Context, slab::Slab<Wide>, usize, pool, key => pool.try_remove(key));
