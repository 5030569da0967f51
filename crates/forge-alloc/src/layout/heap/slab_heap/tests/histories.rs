//! Random and exhaustive histories against a model.

use super::*;
use crate::layout::heap::testing::{self, Length, Model};
use crate::{FirstFit, FreeListHeap};

fn histories<P: ByteAllocator, const SPAN: usize>(make: impl Fn() -> SlabHeap<P, SPAN>) {
    let (size, steps) = if cfg!(miri) { (12_000, 24) } else { (100_000, 500) };
    testing::histories(make, Length { size, steps, longest: 2048 }, |heap, usable| {
        heap.release_empty();
        heap.check();
        assert_eq!((heap.available_bytes(), heap.parent().available_bytes()), (usable, usable));
    });
}

#[test]
fn random_histories_at_every_occupancy_keep_the_contract() {
    histories(SlabHeap::<Tlsf, 2048>::new);
    #[cfg(not(miri))]
    histories(SlabHeap::<Tlsf, 4096>::new);
    histories(|| SlabHeap::<_, 2048>::over(FreeListHeap::<FirstFit>::new()));
    #[cfg(target_pointer_width = "64")]
    histories(SlabByteAllocator::new);
}

/// Plays every history of `depth` steps of five kinds: a small block, one of another class, a large one, and a free of the
/// oldest or the youngest.
#[test]
fn every_short_history_keeps_the_contract() {
    let depth: u32 = if cfg!(miri) { 3 } else { 6 };
    let memory = Memory::new(6 << 10, 512);
    for history in 0..5_usize.pow(depth) {
        let mut model = Model::new(SlabHeap::<Tlsf, 2048>::new(), 1);
        model.heap.add_region(memory.region(0, 6 << 10)).unwrap();
        let start = model.heap.used_bytes();
        let mut order: Vec<usize> = Vec::new();
        for step in 0..depth {
            let known: BTreeSet<usize> = model.live.keys().copied().collect();
            let kind = history / 5_usize.pow(step) % 5;
            if let Some(layout) = [layout(200, 8), layout(480, 8), layout(1900, 512)].get(kind) {
                model.alloc(*layout);
                order.extend(model.live.keys().find(|at| !known.contains(at)));
            } else if !order.is_empty() {
                let address = if kind == 3 { order.remove(0) } else { order.pop().unwrap() };
                model.free_checked(address);
            }
            model.heap.check();
        }
        model.drain();
        assert_eq!(model.heap.used_bytes(), start);
    }
}
