//! Layouts and alignment arithmetic against the same in 128 bits, where nothing overflows.
//!
//! # Invariants
//!
//! What is checked for every size `s`, alignment `a` and count `n`:
//!
//! - a layout exists exactly if `s > 0`, `a` is a power of two and `s <= isize::MAX - (a - 1)`, and then it has that size
//!   and that alignment, equals the one of the standard library, and can be padded;
//! - an array of `n` elements has a layout exactly if it is not empty and `n * size` fits its alignment as above;
//! - rounding down, rounding up and the test of alignment are those of the integers; where rounding up leaves `usize`, one
//!   form says so and the other gives the highest multiple that there is.

use core::alloc::Layout;
use core::num::NonZeroUsize;

use arbitrary::Arbitrary;
use forge_alloc::align::{align_down, align_up, checked_align_up, is_aligned};
use forge_alloc::{LayoutError, NonZeroLayout};

/// What one input says.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub struct Numbers {
    /// Any number.
    pub value: usize,
    /// Any number.
    pub align: usize,
    /// The power of two whose neighbours `value` is moved to.
    pub near: u8,
    /// Whether it is moved.
    pub at_border: bool,
    /// Whether `align` is used as it is, and not as the logarithm of an alignment.
    pub any_align: bool,
}

/// Runs one input.
///
/// # Panics
///
/// If a result differs from the oracle's.
pub fn run(numbers: &Numbers) {
    let power = |logarithm: usize| 1_usize << (logarithm % usize::BITS as usize);
    let value = if numbers.at_border {
        power(usize::from(numbers.near)).wrapping_add(numbers.value % 64).wrapping_sub(32)
    } else {
        numbers.value
    };
    let align = if numbers.any_align { numbers.align } else { power(numbers.align) };
    layout(value, align);
    array::<u8>(value);
    array::<[u16; 3]>(value);
    array::<u128>(value);
    array::<[u128; 1000]>(value);
    array::<[u32; 0]>(value);
    array::<Overaligned>(value);
    if align.is_power_of_two() {
        rounding(value, align);
    }
}

/// A type whose alignment is above those of all numbers.
#[repr(align(4096))]
struct Overaligned {
    _bytes: [u8; 5000],
}

/// Returns whether a block of `size` bytes at `align` bytes can exist.
fn exists(size: u128, align: u128) -> bool {
    size > 0 && align.is_power_of_two() && size + (align - 1) <= isize::MAX as u128
}

fn layout(size: usize, align: usize) {
    let made = NonZeroLayout::from_size_align(size, align);
    let expected = exists(size as u128, align as u128);
    assert_eq!(made.is_ok(), expected, "{size} bytes at {align}");
    if let (Some(size), Some(align)) = (NonZeroUsize::new(size), NonZeroUsize::new(align)) {
        assert_eq!(NonZeroLayout::new(size, align), made);
    }
    if let Ok(standard) = Layout::from_size_align(size, align) {
        assert_eq!(NonZeroLayout::try_from(standard), made);
    }
    let Ok(made) = made else { return assert_eq!(made, Err(LayoutError)) };
    assert_eq!((made.size().get(), made.align().get()), (size, align));
    assert_eq!((made.to_layout().size(), Layout::from(made).align()), (size, align));
    let padded = made.pad_to_align();
    let expected = (size as u128).div_ceil(align as u128) * align as u128;
    assert_eq!((padded.size().get() as u128, padded.align().get()), (expected, align));
    assert_eq!(padded.pad_to_align(), padded);
}

fn array<T>(count: usize) {
    let bytes = count as u128 * size_of::<T>() as u128;
    let made = NonZeroLayout::array::<T>(count);
    assert_eq!(made.is_some(), exists(bytes, align_of::<T>() as u128), "{count} of {} bytes", size_of::<T>());
    if let Some(made) = made {
        assert_eq!((made.size().get() as u128, made.align().get()), (bytes, align_of::<T>()));
    }
    assert_eq!(NonZeroLayout::array::<T>(1), NonZeroLayout::for_type::<T>());
}

fn rounding(value: usize, align: usize) {
    let (wide, step) = (value as u128, align as u128);
    let up = wide.div_ceil(step) * step;
    let highest = usize::MAX as u128 / step * step;
    assert_eq!(align_down(value, align) as u128, wide / step * step);
    assert_eq!(checked_align_up(value, align), usize::try_from(up).ok());
    assert_eq!(align_up(value, align) as u128, up.min(highest));
    assert_eq!(is_aligned(value, align), wide % step == 0);
    assert!(is_aligned(align_up(value, align), align) && is_aligned(align_down(value, align), align));
}

#[cfg(test)]
mod tests;
