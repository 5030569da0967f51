//! The limit: values and generations in two arrays, the free slots on a stack. No bounds, no pool's identity, no wrap.
//!
//! It is not a pool that anyone should use: a handle of another pool reaches any memory, and room for every value of a
//! row must be asked for at the start, which debug builds assert.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;

use super::Pool;
use crate::contestants::Wide;
use crate::harness::Side;

/// Two arrays and a stack of free slots.
pub struct Limit {
    values: Box<[MaybeUninit<Wide>]>,
    generations: Box<[u32]>,
    free: Box<[u32]>,
    taken: usize,
}

/// A slot in one of its generations.
#[derive(Clone, Copy)]
pub struct LimitHandle {
    slot: u32,
    generation: u32,
}

impl Pool for Limit {
    const NAME: &'static str = "limit";
    const SIDE: Side = Side::Limit;
    type Handle = LimitHandle;

    fn with_capacity(capacity: usize) -> Self {
        Self {
            values: vec![MaybeUninit::uninit(); capacity].into(),
            generations: vec![0; capacity].into(),
            free: (0..capacity as u32).collect(),
            taken: 0,
        }
    }

    #[inline(always)]
    fn insert(&mut self, value: Wide) -> LimitHandle {
        debug_assert!(self.taken < self.free.len());
        // SAFETY: the pool was made with room for every value of its row, so a free slot is left; it lies in the arrays.
        unsafe {
            let slot = *self.free.get_unchecked(self.taken);
            self.taken += 1;
            self.values.get_unchecked_mut(slot as usize).write(value);
            LimitHandle { slot, generation: *self.generations.get_unchecked(slot as usize) }
        }
    }

    #[inline(always)]
    fn remove(&mut self, handle: LimitHandle) -> Option<Wide> {
        debug_assert!((handle.slot as usize) < self.values.len());
        // SAFETY: the handles of a row are its pool's, so the slot lies in the arrays; it holds a value in this generation.
        unsafe {
            let generation = self.generations.get_unchecked_mut(handle.slot as usize);
            if *generation != handle.generation {
                return None;
            }
            *generation = generation.wrapping_add(1);
            self.taken = self.taken.wrapping_sub(1);
            *self.free.get_unchecked_mut(self.taken) = handle.slot;
            Some(self.values.get_unchecked(handle.slot as usize).assume_init_read())
        }
    }

    #[inline(always)]
    fn get(&self, handle: LimitHandle) -> Option<&Wide> {
        debug_assert!((handle.slot as usize) < self.values.len());
        // SAFETY: the handles of a row are its pool's, so the slot lies in the arrays; it holds a value in this generation.
        unsafe {
            if *self.generations.get_unchecked(handle.slot as usize) != handle.generation {
                return None;
            }
            Some(self.values.get_unchecked(handle.slot as usize).assume_init_ref())
        }
    }
}
