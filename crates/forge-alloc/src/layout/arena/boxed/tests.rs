use core::cell::Cell;
use std::collections::HashSet;

use super::ArenaBox;
use crate::Arena;

struct Counted<'a>(&'a Cell<u32>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_destructor_runs_once_unless_the_value_is_given_up() {
    let drops = Cell::new(0);
    let arena = Arena::new();
    drop(arena.alloc_box(Counted(&drops)).unwrap());
    assert_eq!(drops.get(), 1);
    let kept = ArenaBox::leak(arena.alloc_box(Counted(&drops)).unwrap());
    assert_eq!(kept.0.get(), 1);
    let moved = ArenaBox::into_inner(arena.alloc_box(Counted(&drops)).unwrap());
    assert_eq!(drops.get(), 1);
    drop(moved);
    assert_eq!(drops.get(), 2);
    let raw = ArenaBox::into_raw(arena.alloc_box(Counted(&drops)).unwrap());
    #[allow(unsafe_code)]
    // SAFETY: the value was given up above and the arena still lives.
    drop(unsafe { ArenaBox::from_raw(raw) });
    assert_eq!(drops.get(), 3);
}

#[test]
fn a_box_behaves_as_its_value_does() {
    let arena = Arena::new();
    let mut text = arena.alloc_box(String::from("b")).unwrap();
    text.push('c');
    let other = arena.alloc_box(String::from("z")).unwrap();
    assert_eq!(format!("{text} {text:?}"), "bc \"bc\"");
    assert!(text < other && text != other);
    let set: HashSet<ArenaBox<'_, String>> = [text, other].into_iter().collect();
    assert!(set.contains(&String::from("bc")));
    assert_eq!(size_of::<Option<ArenaBox<'_, u64>>>(), size_of::<usize>());
}
