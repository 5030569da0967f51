//! Pages and ids: what each library calls handing out a number, or several in a row.
//!
//! ```text
//!   ours              bitmaps with bounds (lowest first, round robin), buddies by bits
//!   ax-allocator      the pages of the seed's crate, over bitmap-allocator
//!   bitmap-allocator  a tree of 16-bit words, lowest first
//!   buddy frames      buddy_system_allocator, a tree of numbers for each order
//!   by hand           a bitset that is searched from where the last number was found, in no order
//! ```
//!
//! # Design
//!
//! Pages have the numbers of their addresses divided by their size, so that all contestants say the same. No memory is
//! behind them: the rows are about the bookkeeping.

use ax_allocator::{BaseAllocator as _, PageAllocator as _};
use bitmap_allocator::{BitAlloc, BitAlloc1M, BitAlloc64K};
use buddy_system_allocator::FrameAllocator;
use forge_alloc::{
    BitmapIdAllocator, BitmapPageAllocator, BuddyPageAllocator, IdAllocator, IdOrder, LowestFirst,
    PageAllocator, RoundRobin, buddy_words, page_words,
};

use crate::harness::Side;
use crate::sink::exhausted;

/// Pages of the rows about pages.
pub const PAGES: usize = 1 << 20;
/// Ids of the rows about ids.
pub const IDS: usize = 1 << 16;
/// The size of a page in bytes.
const PAGE: usize = 4096;

/// Hands out numbers below a constant of its own.
pub trait Numbers: Sized + 'static {
    /// The library and its configuration.
    const NAME: &'static str;
    /// Whose code it is.
    const SIDE: Side;

    /// Returns an allocator all of whose numbers are free.
    fn full() -> Self;

    /// Takes a number.
    fn take(&mut self) -> Option<usize>;

    /// Gives a number back that was taken alone.
    fn give(&mut self, number: usize);
}

/// Hands out several numbers in a row.
pub trait Runs: Numbers {
    /// Takes `count` numbers in a row, the first a multiple of `align`.
    fn take_run(&mut self, count: usize, align: usize) -> Option<usize>;

    /// Gives back what [`take_run`](Self::take_run) returned for the same count and alignment.
    fn give_run(&mut self, first: usize, count: usize, align: usize);
}

macro_rules! our_pages {
    ($(#[$doc:meta])* $contestant:ident($allocator:ty), $name:literal, $make:expr) => {
        $(#[$doc])*
        pub struct $contestant(Box<$allocator>);

        impl Numbers for $contestant {
            const NAME: &'static str = $name;
            const SIDE: Side = Side::Ours;

            fn full() -> Self {
                let mut pages: Box<$allocator> = Box::new($make);
                if pages.add_range(0, PAGES * PAGE).is_err() {
                    exhausted();
                }
                Self(pages)
            }

            #[inline(always)]
            fn take(&mut self) -> Option<usize> {
                Some(self.0.alloc_pages(1, PAGE).ok()? / PAGE)
            }

            #[inline(always)]
            fn give(&mut self, number: usize) {
                self.0.dealloc_pages(number * PAGE, 1);
            }
        }

        impl Runs for $contestant {
            #[inline(always)]
            fn take_run(&mut self, count: usize, align: usize) -> Option<usize> {
                Some(self.0.alloc_pages(count, align * PAGE).ok()? / PAGE)
            }

            #[inline(always)]
            fn give_run(&mut self, first: usize, count: usize, _: usize) {
                self.0.dealloc_pages(first * PAGE, count);
            }
        }
    };
}

our_pages! {
    /// Pages by a bitmap.
    BitmapPages(BitmapPageAllocator<PAGE, [u64; page_words(PAGES)]>), "ours: BitmapPageAllocator",
    BitmapPageAllocator::new()
}
our_pages! {
    /// Pages by the buddy system.
    BuddyPages(BuddyPageAllocator<PAGE, [u64; buddy_words(PAGES)], 1>), "ours: BuddyPageAllocator",
    BuddyPageAllocator::over([0; buddy_words(PAGES)])
}

/// Pages of the seed's crate.
pub struct SeedPages(Box<ax_allocator::BitmapPageAllocator<PAGE>>);

impl Numbers for SeedPages {
    const NAME: &'static str = "ax-allocator: bitmap";
    const SIDE: Side = Side::Peer;

    fn full() -> Self {
        let mut pages = Box::new(ax_allocator::BitmapPageAllocator::new());
        pages.init(0, PAGES * PAGE);
        Self(pages)
    }

    #[inline(always)]
    fn take(&mut self) -> Option<usize> {
        Some(self.0.alloc_pages(1, PAGE).ok()? / PAGE)
    }

    #[inline(always)]
    fn give(&mut self, number: usize) {
        self.0.dealloc_pages(number * PAGE, 1);
    }
}

impl Runs for SeedPages {
    #[inline(always)]
    fn take_run(&mut self, count: usize, align: usize) -> Option<usize> {
        Some(self.0.alloc_pages(count, align * PAGE).ok()? / PAGE)
    }

    #[inline(always)]
    fn give_run(&mut self, first: usize, count: usize, _: usize) {
        self.0.dealloc_pages(first * PAGE, count);
    }
}

macro_rules! tree {
    ($(#[$doc:meta])* $contestant:ident($tree:ty)) => {
        $(#[$doc])*
        pub struct $contestant(Box<$tree>);

        impl Numbers for $contestant {
            const NAME: &'static str = "bitmap-allocator";
            const SIDE: Side = Side::Peer;

            fn full() -> Self {
                let mut tree = Box::new(<$tree>::DEFAULT);
                tree.insert(0..<$tree>::CAP);
                Self(tree)
            }

            #[inline(always)]
            fn take(&mut self) -> Option<usize> {
                self.0.alloc()
            }

            #[inline(always)]
            fn give(&mut self, number: usize) {
                self.0.dealloc(number);
            }
        }

        impl Runs for $contestant {
            #[inline(always)]
            fn take_run(&mut self, count: usize, align: usize) -> Option<usize> {
                self.0.alloc_contiguous(None, count, align.trailing_zeros() as usize)
            }

            #[inline(always)]
            fn give_run(&mut self, first: usize, count: usize, _: usize) {
                self.0.dealloc_contiguous(first, count);
            }
        }
    };
}

tree! {
    /// `bitmap-allocator` for as many bits as there are pages.
    TreePages(BitAlloc1M)
}
tree! {
    /// `bitmap-allocator` for as many bits as there are ids.
    TreeIds(BitAlloc64K)
}

/// The frames of `buddy_system_allocator`.
pub struct BuddyFrames(FrameAllocator<21>);

impl Numbers for BuddyFrames {
    const NAME: &'static str = "buddy frames";
    const SIDE: Side = Side::Peer;

    fn full() -> Self {
        let mut frames = FrameAllocator::new();
        frames.add_frame(0, PAGES);
        Self(frames)
    }

    #[inline(always)]
    fn take(&mut self) -> Option<usize> {
        self.0.alloc(1)
    }

    #[inline(always)]
    fn give(&mut self, number: usize) {
        self.0.dealloc(number, 1);
    }
}

impl Runs for BuddyFrames {
    #[inline(always)]
    fn take_run(&mut self, count: usize, align: usize) -> Option<usize> {
        self.0.alloc(count.max(align))
    }

    #[inline(always)]
    fn give_run(&mut self, first: usize, count: usize, align: usize) {
        self.0.dealloc(first, count.max(align));
    }
}

/// A bitset of free numbers below `COUNT`, and the word in which the last one was found.
pub struct Hinted<const COUNT: usize> {
    free: Vec<u64>,
    hint: usize,
}

impl<const COUNT: usize> Numbers for Hinted<COUNT> {
    const NAME: &'static str = "by hand: unordered bitset with a hint";
    const SIDE: Side = Side::Peer;

    fn full() -> Self {
        const { assert!(COUNT.is_power_of_two() && COUNT >= 64, "the words are whole, and wrap by a mask") };
        Self { free: vec![u64::MAX; COUNT / 64], hint: 0 }
    }

    #[inline(always)]
    fn take(&mut self) -> Option<usize> {
        for step in 0..COUNT / 64 {
            let word = (self.hint + step) % (COUNT / 64);
            let bits = self.free[word];
            if bits != 0 {
                self.free[word] = bits & (bits - 1);
                self.hint = word;
                return Some(word * 64 + bits.trailing_zeros() as usize);
            }
        }
        None
    }

    #[inline(always)]
    fn give(&mut self, number: usize) {
        self.free[number / 64] |= 1 << (number % 64);
        self.hint = number / 64;
    }
}

/// Ids in one of the orders.
pub struct OurIds<O>(Box<BitmapIdAllocator<O>>);

/// The name of an order.
pub trait NamedOrder: IdOrder + Default + 'static {
    /// The name of the contestant with this order.
    const NAME: &'static str;
}

impl NamedOrder for LowestFirst {
    const NAME: &'static str = "ours: BitmapIdAllocator";
}

impl NamedOrder for RoundRobin {
    const NAME: &'static str = "ours: BitmapIdAllocator, round robin";
}

impl<O: NamedOrder> Numbers for OurIds<O> {
    const NAME: &'static str = O::NAME;
    const SIDE: Side = Side::Ours;

    fn full() -> Self {
        let mut ids = Box::new(BitmapIdAllocator::new());
        if ids.add_range(0, IDS).is_err() {
            exhausted();
        }
        Self(ids)
    }

    #[inline(always)]
    fn take(&mut self) -> Option<usize> {
        self.0.alloc_id(1, 1).ok()
    }

    #[inline(always)]
    fn give(&mut self, number: usize) {
        self.0.dealloc_id(number, 1);
    }
}
