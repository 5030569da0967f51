//! Small macros for values that are constants in the shipped build and made at run time under the model checker.

/// Defines a constructor that is `const` except under loom, whose atomics have no `const` constructors.
macro_rules! const_unless_loom {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $kind:ty),*) -> $result:ty $body:block) => {
        $(#[$attribute])*
        #[cfg(not(loom))]
        $visibility const fn $name($($argument: $kind),*) -> $result $body

        $(#[$attribute])*
        #[cfg(loom)]
        $visibility fn $name($($argument: $kind),*) -> $result $body
    };
}

/// Makes an array of values that are each made by the expression.
#[cfg(not(loom))]
macro_rules! array_of {
    ($value:expr; $len:expr) => {
        [const { $value }; $len]
    };
}

/// Makes an array of values that are each made by the expression.
#[cfg(loom)]
macro_rules! array_of {
    ($value:expr; $len:expr) => {
        core::array::from_fn::<_, { $len }, _>(|_| $value)
    };
}

pub(super) use {array_of, const_unless_loom};
