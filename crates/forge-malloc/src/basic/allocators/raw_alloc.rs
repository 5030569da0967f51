//! `RawAlloc`: the policy. Which free block serves a request, what happens when none does, and where freed memory goes.
//!
//! ```text
//!   alloc(48)      a free block of 48 or more?  -- yes -->  cut 48 bytes from its high end
//!                       | no
//!                       v
//!                  grow_heap(48)   | 48 for the program | the rest is a new free block |
//!
//!   realloc        | used | free |    grows into the free block behind it,
//!                  | used        |    or moves to the front of the largest one, where it can grow again
//!
//!   dealloc        merged with its neighbours; if that makes a very large block, its pages go back
//! ```
//!
//! # Invariants
//!
//! - (I1) `obtained` is what the grower has handed over and not taken back. It is the sum of what is free and of the block
//!   sizes of what is live.
//! - (I2) `fresh` lies in one free block behind its notes, and nothing was ever written there: if the grower's memory is
//!   zero, `fresh` is.
//!
//! # Operations
//!
//! All are O(log blocks), as in [`BlockList`], and at most one call of the grower.
//!
//! # Design
//!
//! The size of a block follows from its layout alone: the size, rounded up to a multiple of 16 and of the alignment. So
//! `dealloc` knows it without a header, and `realloc` cannot keep a reserve behind a block. Instead a block that has to move
//! goes to the front of the largest free block: what has grown once grows again, and there it finds room behind it.
//!
//! Pages go back when one free block holds a quarter of the heap and at least 8 MiB. Each time the heap shrinks by a
//! quarter at least, so a program that frees everything makes a handful of system calls.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ops::Range;
use core::ptr::{self, NonNull};

use super::grower::HeapGrower;
use crate::basic::blocklist::{Block, BlockList, GRAIN, Stats, Validity};
use crate::basic::trace::{Note, Notes};

/// What is written at the beginning of a free block, at most.
const NOTES: usize = 2 * GRAIN;

/// The smallest free block whose pages go back, in bytes.
const WORTH_GIVING_BACK: usize = 8 << 20;

/// How the memory of a heap is used, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// What the grower has handed over and not taken back.
    pub obtained: usize,
    /// What is free.
    pub free: usize,
    /// What is in use, with the rounding.
    pub live: usize,
}

/// An allocator for one thread: a list of free blocks, and a grower for when they do not suffice.
///
/// Dropping it forgets its free memory; live blocks stay valid as long as the grower's memory does.
///
/// # Examples
///
/// ```
/// use core::alloc::Layout;
/// use forge_malloc::basic::{MmapHeapGrower, RawAlloc};
///
/// let mut heap = RawAlloc::new(MmapHeapGrower);
/// let layout = Layout::new::<[u64; 4]>();
/// // Sound: the block is freed once, with its layout.
/// unsafe {
///     let block = heap.alloc(layout);
///     assert_eq!(heap.usage().live, 32);
///     heap.dealloc(block, layout);
/// }
/// assert_eq!(heap.usage().live, 0);
/// ```
#[derive(Debug)]
pub struct RawAlloc<G> {
    grower: G,
    blocks: BlockList,
    obtained: usize,
    fresh: Range<usize>,
    /// The size of a free block from which on its pages go back.
    give_back_at: usize,
}

impl<G> RawAlloc<G> {
    /// Returns the grower.
    pub const fn grower(&self) -> &G {
        &self.grower
    }

    /// Returns the free blocks.
    pub const fn blocks(&self) -> &BlockList {
        &self.blocks
    }

    /// Returns what was found wrong with the free blocks, which is nothing, and how much is free. Walks over all of them.
    #[must_use]
    pub fn stats(&self) -> (Validity, Stats) {
        self.blocks.stats()
    }

    /// Returns how the memory is used. Walks over all free blocks.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let (_, stats) = self.stats();
        Usage { obtained: self.obtained, free: stats.size, live: self.obtained.saturating_sub(stats.size) }
    }

    /// Returns how many bytes a block of this layout takes: its size, rounded up to a multiple of 16 and of its alignment.
    /// Zero for an empty one. O(1).
    #[must_use]
    pub fn block_size(layout: Layout) -> usize {
        round(layout.size(), layout.align())
    }

    /// Takes the notes of the latest operation.
    #[inline]
    pub(super) fn take_notes(&mut self) -> Option<Notes> {
        self.blocks.take_notes()
    }

    /// Passes the notes of the latest operation to the logger.
    fn emit_notes(&mut self) {
        self.blocks.take_notes().into_iter().for_each(Notes::emit);
    }
}

impl<G: HeapGrower> RawAlloc<G> {
    /// Returns an allocator without memory; `grower` is asked when some is needed. O(1).
    pub fn new(grower: G) -> Self {
        let give_back_at = if grower.unit().is_some() { WORTH_GIVING_BACK } else { usize::MAX };
        Self { grower, blocks: BlockList::new(), obtained: 0, fresh: 0..0, give_back_at }
    }

    /// Returns a block for `layout`, or null if there is no memory. An empty layout gets an aligned address of nothing.
    ///
    /// # Safety
    ///
    /// The block is out of use before the allocator is dropped, if that ends the grower's memory.
    pub unsafe fn alloc(&mut self, layout: Layout) -> *mut u8 {
        let (block, _) = self.alloc_block(layout);
        self.emit_notes();
        block
    }

    /// Returns a block of zeros for `layout`, or null if there is no memory.
    ///
    /// # Safety
    ///
    /// As [`RawAlloc::alloc`].
    pub unsafe fn alloc_zeroed(&mut self, layout: Layout) -> *mut u8 {
        let block = self.alloc_zeroed_block(layout);
        self.emit_notes();
        block
    }

    /// Takes a block back. If it overlaps free memory, the process ends with a message.
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of this allocator, and `layout` is its layout. Nothing uses it afterwards.
    pub unsafe fn dealloc(&mut self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { self.free_block(ptr, layout) };
        self.emit_notes();
    }

    /// Changes the size of a block, in place if possible, and returns where it is then; null if there is no memory, and then
    /// nothing has changed.
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of this allocator, and `layout` is its layout.
    pub unsafe fn realloc(&mut self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(new_size, layout.align()) else { return ptr::null_mut() };
        // SAFETY: the caller's promise is the callee's.
        let block = unsafe { self.resize_block(ptr, layout, new) };
        self.emit_notes();
        block
    }

    /// Returns a block and whether it is known to be zero.
    #[inline]
    pub(super) fn alloc_block(&mut self, layout: Layout) -> (*mut u8, bool) {
        let (size, align) = (Self::block_size(layout), layout.align());
        if size == 0 {
            return (ptr::without_provenance_mut(align), true);
        }
        match self.blocks.take(size, align) {
            Some(start) => (ptr::with_exposed_provenance_mut(start), self.take_fresh(start, size)),
            None => self.alloc_by_growing(size, align),
        }
    }

    pub(super) fn alloc_zeroed_block(&mut self, layout: Layout) -> *mut u8 {
        let (block, zero) = self.alloc_block(layout);
        let is_zero = zero && G::ZEROED;
        if !block.is_null() && !is_zero {
            // SAFETY: the block is new and at least that long.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    /// Marks a block as used, and returns whether it was fresh (I2).
    #[inline]
    fn take_fresh(&mut self, start: usize, size: usize) -> bool {
        if start >= self.fresh.end || start + size <= self.fresh.start {
            return false;
        }
        let whole = start >= self.fresh.start && start + size <= self.fresh.end;
        // Blocks are cut from the high end, so what is left is in front. It is empty if the whole free block was taken.
        self.fresh.end = start.max(self.fresh.start);
        whole
    }

    /// Marks a block that was taken from the low end as used, and the notes behind it as written (I2).
    fn take_fresh_low(&mut self, start: usize, size: usize) {
        let written = start + size + NOTES;
        if start < self.fresh.end && written > self.fresh.start {
            self.fresh.start = written.min(self.fresh.end);
        }
    }

    #[cold]
    #[inline(never)]
    fn alloc_by_growing(&mut self, size: usize, align: usize) -> (*mut u8, bool) {
        let nothing = (ptr::null_mut(), false);
        let Some(need) = Piece::need(size, align) else { return nothing };
        let step = self.grower.step(need, self.obtained);
        // SAFETY: the memory is used by blocks only, whose users promise to end before the grower's memory does.
        let memory = unsafe { Piece::obtain(&mut self.grower, step, need) };
        let Some(piece) = memory.and_then(|memory| Piece::carve(memory, size, align)) else { return nothing };
        self.obtained += piece.len;
        self.blocks.note(Note::Grown { address: piece.front.start, size: piece.len });
        for rest in [&piece.front, &piece.tail] {
            if !rest.is_empty() {
                // SAFETY: new memory of the grower, a multiple of 16 at a multiple of 16 (see `Piece`).
                unsafe { self.blocks.add(ptr::with_exposed_provenance_mut(rest.start), rest.len()) };
            }
        }
        if piece.tail.len() > self.fresh.len() + NOTES {
            self.fresh = piece.tail.start + NOTES..piece.tail.end;
        }
        self.set_give_back();
        (ptr::with_exposed_provenance_mut(piece.front.end), true)
    }

    /// # Safety
    ///
    /// As [`RawAlloc::dealloc`].
    #[inline]
    pub(super) unsafe fn free_block(&mut self, ptr: *mut u8, layout: Layout) {
        let size = Self::block_size(layout);
        if size > 0 {
            // SAFETY: the block is given up.
            unsafe { self.free_bytes(ptr, size) };
        }
    }

    /// # Safety
    ///
    /// The bytes are a live block, or the end of one, that is given up; their number is a multiple of 16 and not zero.
    #[inline]
    unsafe fn free_bytes(&mut self, ptr: *mut u8, size: usize) {
        // SAFETY: the memory came from the grower and belongs to the list from now on.
        let whole = unsafe { self.blocks.add(ptr, size) };
        if whole.size >= self.give_back_at {
            self.give_back(whole);
        }
    }

    /// Takes memory that a grower of the side door has obtained, or a block that was freed there.
    ///
    /// # Safety
    ///
    /// As for [`BlockList::add_block`].
    pub(super) unsafe fn adopt(&mut self, address: usize, size: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { self.free_bytes(ptr::with_exposed_provenance_mut(address), size) };
    }

    /// Counts memory that growers of the side door have obtained.
    pub(super) fn count(&mut self, obtained: usize) {
        self.obtained += obtained;
        self.set_give_back();
    }

    fn set_give_back(&mut self) {
        if self.grower.unit().is_some() {
            self.give_back_at = WORTH_GIVING_BACK.max(self.obtained / 4);
        }
    }

    /// Gives the whole pages in a free block back.
    #[cold]
    #[inline(never)]
    fn give_back(&mut self, block: Block) {
        let Some(unit) = self.grower.unit() else { return };
        let Some(start) = block.address.checked_next_multiple_of(unit) else { return };
        let end = block.end() & !(unit - 1);
        if end <= start || !self.blocks.take_at(block.address, block.size) {
            return;
        }
        self.fresh = 0..0;
        let pointer = NonNull::new(ptr::with_exposed_provenance_mut(start));
        // SAFETY: whole units of the grower's memory, which the list has just given up.
        let given = pointer.is_some_and(|pages| unsafe { self.grower.give_back(pages, end - start) });
        let kept =
            if given { [block.address..start, end..block.end()] } else { [block.address..block.end(), 0..0] };
        for rest in kept {
            if !rest.is_empty() {
                // SAFETY: a part of the block that was free and that the grower has not taken.
                unsafe { self.blocks.add(ptr::with_exposed_provenance_mut(rest.start), rest.len()) };
            }
        }
        if given {
            self.obtained = self.obtained.saturating_sub(end - start);
            self.blocks.note(Note::GivenBack { address: start, size: end - start });
            self.set_give_back();
        } else {
            // Not again before there is much more to give.
            self.give_back_at = block.size.saturating_mul(2);
        }
    }

    /// # Safety
    ///
    /// `ptr` is a live block of this allocator with the layout `old`.
    #[inline]
    pub(super) unsafe fn resize_block(&mut self, ptr: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        let (had, wants) = (Self::block_size(old), Self::block_size(new));
        let (start, end) = (ptr.addr(), ptr.addr() + had);
        // SAFETY: bytes behind the first `wants` of the block are given up; the copy is between two live blocks.
        unsafe {
            if had > 0 && wants > 0 && start & (new.align() - 1) == 0 {
                if wants <= had {
                    if wants < had {
                        self.free_bytes(ptr.add(wants), had - wants);
                    }
                    return ptr;
                }
                if self.blocks.take_at(end, wants - had) {
                    self.take_fresh_low(end, wants - had);
                    return ptr::with_exposed_provenance_mut(start);
                }
            }
            let block = self.alloc_to_grow(new, wants);
            if !block.is_null() {
                block.copy_from_nonoverlapping(ptr, old.size().min(new.size()));
                self.free_block(ptr, old);
            }
            block
        }
    }

    /// Returns a block with room behind it, if the largest free block has twice what is wanted; otherwise any.
    fn alloc_to_grow(&mut self, layout: Layout, wants: usize) -> *mut u8 {
        if wants > 0 {
            if let Some(start) = self.blocks.take_low(wants, layout.align(), wants) {
                self.take_fresh_low(start, wants);
                return ptr::with_exposed_provenance_mut(start);
            }
        }
        self.alloc_block(layout).0
    }
}

impl<G: HeapGrower + Default> Default for RawAlloc<G> {
    fn default() -> Self {
        Self::new(G::default())
    }
}

/// Returns `size` rounded up to a multiple of 16 and of `align`. No size of a layout comes near the end of the numbers.
#[inline]
pub(super) const fn round(size: usize, align: usize) -> usize {
    let unit = if align > GRAIN { align } else { GRAIN };
    size.wrapping_add(unit - 1) & !(unit - 1)
}

/// New memory of a grower, with a block cut out near its front.
///
/// ```text
///   | front (alignment, usually none) | the block | tail |
/// ```
pub(super) struct Piece {
    /// What lies before the block, which starts where it ends.
    pub(super) front: Range<usize>,
    pub(super) tail: Range<usize>,
    /// All three together.
    pub(super) len: usize,
}

impl Piece {
    /// Returns how much memory certainly has room for a block, or `None` if none can have.
    pub(super) fn need(size: usize, align: usize) -> Option<usize> {
        size.checked_add(align.saturating_sub(GRAIN))
    }

    /// Asks a grower for `step` bytes, and if it has not so much for `need`.
    ///
    /// # Safety
    ///
    /// As [`HeapGrower::grow_heap`].
    pub(super) unsafe fn obtain<G: HeapGrower>(
        grower: &mut G,
        step: usize,
        need: usize,
    ) -> Option<(*mut u8, usize)> {
        let sizes = [step.max(need), need];
        let sizes = if step > need { &sizes[..] } else { &sizes[1..] };
        sizes.iter().find_map(|size| {
            // SAFETY: the caller's promise is the callee's.
            let memory = unsafe { grower.grow_heap(*size) };
            memory.ok().filter(|(pointer, len)| !pointer.is_null() && *len >= need)
        })
    }

    /// Cuts memory up, in multiples of 16 at multiples of 16; `None` if the block does not fit.
    pub(super) fn carve((pointer, len): (*mut u8, usize), size: usize, align: usize) -> Option<Self> {
        let address = pointer.expose_provenance();
        let first = address.checked_next_multiple_of(GRAIN)?;
        let end = address.checked_add(len)? & !(GRAIN - 1);
        let start = first.checked_next_multiple_of(align.max(GRAIN))?;
        let tail = start.checked_add(size)?;
        (tail <= end).then(|| Self { front: first..start, tail: tail..end, len: end - first })
    }
}
