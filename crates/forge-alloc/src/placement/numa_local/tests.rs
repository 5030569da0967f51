#![allow(unsafe_code)]

use forge_alloc_core::{Allocator, FixedRange, OsBacked};
use forge_os::OsError;
use forge_os::sim::SimOs;

use super::{NodeSet, NumaLocal, NumaPolicy};
use crate::{BumpArena, MmapBacked, MmapFlags, NonZeroLayout, last_os_failure};

const PAGE: usize = 4096;

fn sim_mmap(os: SimOs) -> MmapBacked<SimOs> {
    MmapBacked::map_on(os, 16 * PAGE, MmapFlags::NONE).unwrap()
}

/// Returns the wrapper without asking a system.
fn unplaced<I: OsBacked>(inner: I) -> NumaLocal<I> {
    NumaLocal { inner, policy: NumaPolicy::Preferred(0) }
}

fn refusal<I: OsBacked>(inner: I, policy: NumaPolicy) -> OsError {
    match NumaLocal::bind(inner, policy.clone()) {
        Ok(_) => panic!("{policy:?} was accepted"),
        Err(refused) => refused,
    }
}

#[test]
fn policies_without_a_node_and_with_impossible_nodes_are_refused() {
    let nodes = NodeSet::empty();
    for policy in [
        NumaPolicy::Bind(nodes),
        NumaPolicy::Interleaved(nodes),
        NumaPolicy::Preferred(1024),
        NumaPolicy::Preferred(u32::MAX),
    ] {
        let os = SimOs::new(PAGE);
        let refused = refusal(sim_mmap(os), policy.clone());
        assert_eq!(refused, OsError::invalid_argument("mbind"));
        assert!(NumaLocal::new(sim_mmap(os), policy).is_err());
        assert_eq!(last_os_failure(), Some(refused));
        assert_eq!(os.live_mappings(), 0);
    }
}

#[test]
fn mappings_of_another_system_are_refused_and_the_reason_names_the_call() {
    let os = SimOs::new(PAGE);
    assert!(NumaLocal::new(sim_mmap(os), NumaPolicy::Preferred(0)).is_err());
    assert!(NumaLocal::new(BumpArena::new(sim_mmap(os)).unwrap(), NumaPolicy::Preferred(0)).is_err());
    let refused = last_os_failure().unwrap();
    assert_eq!(refused, OsError::unsupported("mbind"));
    assert!(refused.to_string().contains("NUMA policies need Linux"), "{refused}");
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn the_wrapper_is_its_inner_allocator() {
    let os = SimOs::new(PAGE);
    let mut local = unplaced(sim_mmap(os));
    let layout = NonZeroLayout::from_size_align(100, 8).unwrap();
    let longer = NonZeroLayout::from_size_align(300, 8).unwrap();
    let block = local.allocate(layout).unwrap().cast::<u8>();
    // SAFETY: the block is live with this layout.
    let (stays, grown) =
        unsafe { (local.stays_in_place(block, layout, longer), local.grow(block, layout, longer)) };
    assert!(stays && grown.is_ok_and(|grown| grown.cast() == block));
    assert_eq!(local.inner().allocated(), 300);
    assert_eq!(local.capacity_bytes(), Some(16 * PAGE));
    assert_eq!((local.base(), local.size()), (local.inner().base(), local.inner().size()));
    assert_eq!((local.base_ptr(), local.region_size()), (local.base(), 16 * PAGE));
    assert!(!local.is_native() && local.can_reset());
    assert_eq!(local.reset(), Ok(()));
    assert_eq!(local.into_inner().allocated(), 0);
}

#[test]
fn an_arena_may_carve_the_range() {
    const { assert!(NumaLocal::<MmapBacked>::CARVABLE) };
    let arena = BumpArena::new(unplaced(sim_mmap(SimOs::new(PAGE)))).unwrap();
    assert!(arena.alloc(7_u64).is_ok());
    assert!(arena.backing().allocate(NonZeroLayout::for_type::<u8>().unwrap()).is_err(), "claimed");
}
