//! A provider for tests: it counts, can be told to be empty, crooked or short, and calls back.
#![allow(unsafe_code)]

use std::boxed::Box;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst};

use forge_alloc_core::{NonZeroLayout, Region, RegionSource};

use super::{Result, SlabError, SlabSource};
use crate::HeapSource;

/// What happens at the next calls of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Willing,
    Empty,
    /// Regions start 64 bytes behind a multiple of their alignment.
    Crooked,
    /// Regions are half as long as asked.
    Short,
}

/// What all clones of a provider share.
#[derive(Default)]
pub(super) struct Ledger {
    mood: AtomicUsize,
    /// Regions out.
    pub(super) balance: AtomicIsize,
    /// Regions asked for.
    pub(super) requests: AtomicUsize,
    /// Providers that exist.
    pub(super) alive: AtomicUsize,
}

impl Ledger {
    pub(super) fn set(&self, mood: Mood) {
        self.mood.store(mood as usize, SeqCst);
    }

    pub(super) fn balance(&self) -> isize {
        self.balance.load(SeqCst)
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }
}

/// The provider. Its regions are twice as large as asked, so that there is room for moods.
pub(super) struct Provider {
    pub(super) ledger: Arc<Ledger>,
    pub(super) on_call: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Provider {
    pub(super) fn new() -> (Self, Arc<Ledger>) {
        let ledger = Arc::new(Ledger::default());
        ledger.alive.fetch_add(1, SeqCst);
        (Self { ledger: Arc::clone(&ledger), on_call: None }, ledger)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.ledger.alive.fetch_sub(1, SeqCst);
    }
}

fn doubled(layout: NonZeroLayout) -> NonZeroLayout {
    NonZeroLayout::from_size_align(2 * layout.size().get(), layout.align().get()).unwrap()
}

// SAFETY: a region is a part of one of the global allocator that is nobody else's, until it is taken back.
unsafe impl SlabSource for Provider {
    unsafe fn supply(&self, layout: NonZeroLayout) -> Result<Region> {
        self.ledger.requests.fetch_add(1, SeqCst);
        if let Some(call) = &self.on_call {
            call();
        }
        let mood = self.ledger.mood.load(SeqCst);
        if mood == Mood::Empty as usize {
            return Err(SlabError::OutOfMemory);
        }
        // SAFETY: regions of the global allocator stay valid until they are released.
        let region = unsafe { HeapSource.request(doubled(layout)) }.map_err(|_| SlabError::OutOfMemory)?;
        self.ledger.balance.fetch_add(1, SeqCst);
        let (base, _) = region.into_raw();
        let skip = if mood == Mood::Crooked as usize { 64 } else { 0 };
        let len =
            if mood == Mood::Short as usize { layout.size().get() / 2 } else { layout.size().get() + 8 };
        // SAFETY: the sums stay in the region, which is twice as long as the layout.
        Ok(unsafe { Region::from_raw(base.add(skip), len) })
    }

    unsafe fn take_back(&self, region: Region, layout: NonZeroLayout) {
        self.ledger.balance.fetch_sub(1, SeqCst);
        let (base, _) = region.into_raw();
        let skip = base.addr().get() % layout.align().get();
        let layout = doubled(layout);
        // SAFETY: the region began `skip` bytes behind one of the global allocator with this layout, which ends here.
        unsafe { HeapSource.release(Region::from_raw(base.sub(skip), layout.size().get()), layout) };
    }
}
