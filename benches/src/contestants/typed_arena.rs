//! typed-arena: one type per arena, a vector of chunks. It cannot be reset: a new one takes its place.

use typed_arena::Arena as TypedArena;

use super::{Arena, Fresh, Put};
use crate::harness::Side;

/// typed-arena of `T`, rebuilt where others reset.
pub struct Typed<T: 'static> {
    arena: TypedArena<T>,
    capacity: usize,
}

impl<T: 'static> Arena for Typed<T> {
    const NAME: &'static str = "typed-arena";
    const SIDE: Side = Side::Peer;

    fn with_capacity(bytes: usize) -> Self {
        let capacity = bytes / size_of::<T>();
        Self { arena: TypedArena::with_capacity(capacity), capacity }
    }

    #[inline(always)]
    fn reset(&mut self) {
        self.arena = TypedArena::with_capacity(self.capacity);
    }
}

impl<T: Copy + 'static> Put<T> for Typed<T> {
    #[inline(always)]
    fn put(&self, value: T) -> &T {
        self.arena.alloc(value)
    }
}

impl<T: Copy + 'static> Fresh<T> for Typed<T> {
    #[inline(always)]
    fn fresh() -> Self {
        Self { arena: TypedArena::new(), capacity: 0 }
    }
}
