//! Types of which all zero bytes are a value, so that a slot can be filled without a constructor.
//!
//! # Design
//!
//! `alloc()` of an object cache takes no value, so it has to invent one. For an arbitrary type that cannot be sound: a
//! reference or a `NonZeroU32` of zeros is no value, and one left as the last owner left it less so. For the types below it
//! is, and [`zeroable!`](crate::zeroable) adds structs of them, whose fields it makes the compiler enumerate.
#![allow(unsafe_code)]

/// A type of which all zero bytes are a value that anybody may have.
///
/// # Safety
///
/// All zero bytes are a valid value of the type, padding aside, and no code relies on that value not existing.
pub unsafe trait Zeroable: Sized {}

macro_rules! zeroable_types {
    ($($type:ty),*) => {$(
        // SAFETY: numbers, `false` and the character 0 are zero bytes.
        unsafe impl Zeroable for $type {}
    )*};
}

zeroable_types!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64, bool, char, ());

// SAFETY: each element is zero bytes.
unsafe impl<T: Zeroable, const LEN: usize> Zeroable for [T; LEN] {}
// SAFETY: any bytes are one.
unsafe impl<T> Zeroable for core::mem::MaybeUninit<T> {}
// SAFETY: a null pointer is a value.
unsafe impl<T> Zeroable for *const T {}
// SAFETY: a null pointer is a value.
unsafe impl<T> Zeroable for *mut T {}
// SAFETY: a null pointer is `None`.
unsafe impl<T> Zeroable for Option<core::ptr::NonNull<T>> {}
// SAFETY: a cell is as its value.
unsafe impl<T: Zeroable> Zeroable for core::cell::Cell<T> {}
// SAFETY: a cell is as its value.
unsafe impl<T: Zeroable> Zeroable for core::cell::UnsafeCell<T> {}
// SAFETY: it is as its value.
unsafe impl<T: Zeroable> Zeroable for core::num::Wrapping<T> {}
// SAFETY: it has no bytes.
unsafe impl<T: ?Sized> Zeroable for core::marker::PhantomData<T> {}

/// Makes a struct [`Zeroable`](crate::cache::Zeroable), all of whose fields are.
///
/// All fields are named, which only code can do that sees them: a field that is left out, and one whose type is not
/// `Zeroable`, do not compile.
///
/// # Examples
///
/// ```
/// struct MyConfig {
///     id: u32,
///     data: [u8; 60],
/// }
/// forge_alloc::zeroable!(MyConfig { id, data });
/// ```
///
/// ```compile_fail,E0027
/// struct Half {
///     id: u32,
///     name: &'static str,
/// }
/// forge_alloc::zeroable!(Half { id });
/// ```
///
/// ```compile_fail,E0277
/// struct Named {
///     name: &'static str,
/// }
/// forge_alloc::zeroable!(Named { name });
/// ```
#[macro_export]
macro_rules! zeroable {
    ($name:ident { $($field:ident),* $(,)? }) => {
        const _: () = {
            #[allow(dead_code)]
            fn every_field_is_zeroable(value: &$name) {
                fn zeroable<T: $crate::cache::Zeroable>(_: &T) {}
                let $name { $($field),* } = value;
                $(zeroable($field);)*
            }

            // SAFETY: the function above names every field, and each of them is of a type that may be zero bytes.
            unsafe impl $crate::cache::Zeroable for $name {}
        };
    };
}

#[cfg(test)]
mod tests;
