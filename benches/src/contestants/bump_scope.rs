//! bump-scope: chunks, either way; with its defaults, and tuned for the rows.
//!
//! # Design
//!
//! Tuned means: a minimum alignment of eight, so that eight-byte values need no alignment; no freeing, shrinking or
//! claiming; reset to the start of the first chunk. Downwards is its cheapest direction for a value of a fixed size,
//! upwards lets a vector grow in place, and a minimum alignment of one suits bytes: all three take part.

use core::alloc::Layout;
use core::ptr::NonNull;

use bump_scope::alloc::Global;
use bump_scope::settings::BumpSettings;
use bump_scope::traits::BumpAllocatorTyped;
use bump_scope::{Bump, BumpScope, BumpVec};

use super::{Arena, Blocks, Copies, Fresh, Put, PutWide, Scopes, Wide};
use crate::harness::Side;
use crate::vectors;

/// The settings of a library user who never looked at them.
pub type Default = BumpSettings;
/// Tuned for values: aligned to eight, downwards.
pub type Down = BumpSettings<8, false, true, false, false, false, 512>;
/// Tuned for growth: aligned to eight, upwards.
pub type Up = BumpSettings<8, true, true, false, false, false, 512>;
/// Tuned for bytes: not aligned, downwards.
pub type Bytes = BumpSettings<1, false, true, false, false, false, 512>;

/// bump-scope with the settings `S`.
pub struct Scoped<S: bump_scope::settings::BumpAllocatorSettings>(Bump<Global, S>);

macro_rules! contestant {
    ($settings:ty, $name:literal, $reset:ident) => {
        impl Arena for Scoped<$settings> {
            const NAME: &'static str = $name;
            const SIDE: Side = Side::Peer;

            fn with_capacity(bytes: usize) -> Self {
                Self(Bump::with_size(bytes + 64))
            }

            #[inline(always)]
            fn reset(&mut self) {
                self.0.$reset();
            }
        }

        impl<T: Copy> Put<T> for Scoped<$settings> {
            #[inline(always)]
            fn put(&self, value: T) -> &T {
                bump_scope::BumpBox::leak(self.0.as_scope().alloc(value))
            }
        }

        impl Blocks for Scoped<$settings> {
            type Layout = Layout;

            fn layout(layout: Layout) -> Layout {
                layout
            }

            #[inline(always)]
            fn block(&self, layout: Layout) -> NonNull<u8> {
                self.0.allocate_layout(layout)
            }
        }

        impl Copies for Scoped<$settings> {
            #[inline(always)]
            fn copy_slice(&self, source: &[u8]) -> &[u8] {
                bump_scope::BumpBox::leak(self.0.as_scope().alloc_slice_copy(source))
            }

            #[inline(always)]
            fn copy_str(&self, source: &str) -> &str {
                bump_scope::BumpBox::leak(self.0.as_scope().alloc_str(source))
            }
        }

        impl Scopes for Scoped<$settings> {
            type Scope<'s> = BumpScope<'s, Global, $settings>;

            #[inline(always)]
            fn scoped<R>(&mut self, work: impl FnOnce(&Self::Scope<'_>) -> R) -> R {
                self.0.scoped(|scope| work(scope))
            }
        }

        impl PutWide for BumpScope<'_, Global, $settings> {
            #[inline(always)]
            fn put_wide(&self, value: Wide) -> &Wide {
                bump_scope::BumpBox::leak(self.alloc(value))
            }
        }

        impl<T: Copy> Fresh<T> for Scoped<$settings> {
            #[inline(always)]
            fn fresh() -> Self {
                Self(Bump::new())
            }
        }
    };
}

contestant!(Default, "bump-scope", reset);
contestant!(Down, "bump-scope, tuned down", reset_to_start);
contestant!(Up, "bump-scope, tuned up", reset_to_start);
contestant!(Bytes, "bump-scope, tuned for bytes", reset_to_start);

vectors!(Scoped<Default>, arena => allocator_api2_04::vec::Vec::new_in(&arena.0));
vectors!(Scoped<Up>, arena => allocator_api2_04::vec::Vec::new_in(&arena.0));

/// bump-scope tuned upwards, with its own vector.
pub struct OwnVector(Bump<Global, Up>);

impl Arena for OwnVector {
    const NAME: &'static str = "bump-scope, tuned up, BumpVec";
    const SIDE: Side = Side::Peer;

    fn with_capacity(bytes: usize) -> Self {
        Self(Bump::with_size(bytes + 64))
    }

    #[inline(always)]
    fn reset(&mut self) {
        self.0.reset_to_start();
    }
}

vectors!(OwnVector, arena => BumpVec::new_in(&arena.0));
