//! Bytes as histories: every byte string is a sequence of allocator calls, absurd ones among them.
//!
//! ```text
//!   head byte     7 6 5     4        3 2 1 0
//!                thread   zeroed      kind        then, as the kind asks: place, size, alignment
//! ```
//!
//! | kind | operation |
//! |---|---|
//! | 0 to 5 | allocate a usual size |
//! | 6 | allocate an absurd size at an absurd alignment |
//! | 7, 8 | resize a block to a usual size |
//! | 9 | resize a block to an absurd size |
//! | 10 to 12 | free any block |
//! | 13, 14 | free the youngest block |
//! | 15 | free a block that never was, or use the number of a live block again |
//!
//! # Design
//!
//! Blocks are picked by their place among those that are live if nothing failed, so that a mutated byte changes one
//! operation and leaves the meaning of the others. An operation takes one to four bytes: the fuzzer's usual steps (change a
//! byte, insert, erase, copy a piece) are edits of the history.

use arbitrary::{Result, Unstructured};
use forge_trace::Op;

/// The largest number of operations of one history: what follows adds time and no new states.
pub const LONGEST: usize = 256;

/// Returns the history that is left in `input`. O(bytes).
///
/// # Errors
///
/// None of its own: an exhausted input reads as zeros, and the history ends with it.
pub fn decode(input: &mut Unstructured<'_>) -> Result<Vec<Op>> {
    let mut decoder = Decoder { live: Vec::new(), next: 0 };
    let mut ops = Vec::new();
    while ops.len() < LONGEST && !input.is_empty() {
        ops.push(decoder.op(input)?);
    }
    Ok(ops)
}

/// What the operations so far have left behind if nothing failed.
struct Decoder {
    /// Oldest first.
    live: Vec<u32>,
    next: u32,
}

impl Decoder {
    fn op(&mut self, input: &mut Unstructured<'_>) -> Result<Op> {
        let head: u8 = input.arbitrary()?;
        let (zeroed, thread) = (head & 16 != 0, u16::from(head >> 5));
        let kind = if self.live.is_empty() { head % 8 } else { head % 16 };
        match kind {
            6 => {
                let align = absurd_align(input)?;
                let size = absurd_size(input, align)?;
                Ok(self.allocate(size, align, zeroed, thread))
            }
            7..=9 if !self.live.is_empty() => {
                let id = self.pick(input)?;
                let size = if kind == 9 { absurd_size(input, 1)? } else { usual_size(input)? };
                Ok(Op::Resize { id, size, thread })
            }
            10..=12 => {
                let id = self.pick(input)?;
                self.live.retain(|live| *live != id);
                Ok(Op::Free { id, thread })
            }
            13 | 14 => Ok(Op::Free { id: self.live.pop().unwrap_or_default(), thread }),
            15 if zeroed => Ok(Op::Free { id: self.next.wrapping_add(7), thread }),
            15 => {
                let (id, size) = (self.pick(input)?, usual_size(input)?);
                Ok(Op::Allocate { id, size, align: 8, zeroed, thread })
            }
            _ => {
                let size = usual_size(input)?;
                let align = usual_align(input)?;
                Ok(self.allocate(size, align, zeroed, thread))
            }
        }
    }

    fn allocate(&mut self, size: usize, align: usize, zeroed: bool, thread: u16) -> Op {
        let id = self.next;
        self.next += 1;
        self.live.push(id);
        Op::Allocate { id, size, align, zeroed, thread }
    }

    /// Returns the number of a live block; there is one.
    fn pick(&self, input: &mut Unstructured<'_>) -> Result<u32> {
        let place: u8 = input.arbitrary()?;
        Ok(self.live.get(usize::from(place) % self.live.len().max(1)).copied().unwrap_or_default())
    }
}

/// Returns a size of 0 to 127 bytes, of up to 1 KiB in steps of 8, or rarely of up to 16 KiB.
fn usual_size(input: &mut Unstructured<'_>) -> Result<usize> {
    let size: u8 = input.arbitrary()?;
    match size {
        0..=127 => Ok(usize::from(size)),
        128..=239 => Ok(usize::from(size - 112) * 8),
        _ => Ok(usize::from(input.arbitrary::<u16>()? >> 2)),
    }
}

/// Returns an alignment of 1 to 128 bytes, or rarely of up to 32 KiB.
fn usual_align(input: &mut Unstructured<'_>) -> Result<usize> {
    let align: u8 = input.arbitrary()?;
    Ok(1 << if align < 224 { align % 8 } else { align % 16 })
}

/// Returns a power of two of any magnitude, or a number that is none.
fn absurd_align(input: &mut Unstructured<'_>) -> Result<usize> {
    let align: u8 = input.arbitrary()?;
    Ok(match align {
        0..=223 => 1 << (u32::from(align) % usize::BITS),
        _ => usize::from(align - 224),
    })
}

/// Returns a size near a border of what layouts, arenas or address spaces can hold.
fn absurd_size(input: &mut Unstructured<'_>, align: usize) -> Result<usize> {
    const MAX: usize = isize::MAX as usize;
    let borders = [
        0,
        MAX,
        MAX.wrapping_sub(align).wrapping_add(1),
        usize::MAX,
        MAX / 2,
        1 << 16,
        1 << 20,
        1 << (usize::BITS / 2),
    ];
    let choice: u8 = input.arbitrary()?;
    let border = borders.get(usize::from(choice) % borders.len()).copied().unwrap_or_default();
    let offset = usize::from(choice / 8);
    Ok(border.wrapping_add(offset).wrapping_sub(16))
}

#[cfg(test)]
mod tests;
