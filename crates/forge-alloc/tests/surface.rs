//! Pins of the seed's public surface: this file compiles exactly if names, constructors and signatures match.
//!
//! It covers the contract, the backings and the arenas. Needs the features `std` and `siphasher`, and an OS.
#![cfg(all(feature = "std", any(unix, windows)))]
#![allow(
    clippy::type_complexity,
    clippy::declare_interior_mutable_const,
    clippy::borrow_interior_mutable_const
)]
#![allow(unsafe_code)]
use core::mem::MaybeUninit;
use core::num::NonZeroUsize;
use core::ptr::NonNull;
use forge_alloc::traits::LayoutError;
use forge_alloc::*;
type R<T> = Result<T, AllocError>;
type In = InlineBacked<512>;
type Ba = BumpArena<In>;
fn is<T>(_: T) {}
fn send<T: Send>() {}
fn sync<T: Sync>() {}
fn alloc<T: Allocator>() {}
fn fixed<T: FixedRange>() {}
fn os<T: OsBacked>() {}

#[test]
fn core_items() {
    is::<fn(NonZeroUsize, NonZeroUsize) -> Result<NonZeroLayout, LayoutError>>(NonZeroLayout::new);
    is::<fn(usize, usize) -> Result<NonZeroLayout, LayoutError>>(NonZeroLayout::from_size_align);
    is::<fn() -> Option<NonZeroLayout>>(NonZeroLayout::for_type::<u32>);
    is::<fn(usize) -> Option<NonZeroLayout>>(NonZeroLayout::array::<u32>);
    is::<fn(&NonZeroLayout) -> NonZeroUsize>(NonZeroLayout::size);
    is::<fn(&NonZeroLayout) -> NonZeroUsize>(NonZeroLayout::align);
    is::<fn(&NonZeroLayout) -> NonZeroLayout>(NonZeroLayout::pad_to_align);
    is::<fn(&NonZeroLayout) -> core::alloc::Layout>(NonZeroLayout::to_layout);
    is::<fn(System) -> StdCompat<System>>(StdCompat::new);
    is::<fn(&StdCompat<System>) -> &System>(StdCompat::inner);
    is::<fn(StdCompat<System>) -> System>(StdCompat::into_inner);
    is::<fn(u8) -> CachePadded<u8>>(CachePadded::new);
    is::<fn(CachePadded<u8>) -> u8>(CachePadded::into_inner);
    is::<fn([u8; 16]) -> SipHashMAC>(SipHashMAC::with_key);
    is::<fn() -> SipHashMAC>(SipHashMAC::new);
    is::<fn(&SipHashMAC, u32, usize) -> u32>(FreelistProtection::sign);
    is::<fn(&NoProtection, u32, u32, usize) -> Result<(), FreelistCorruption>>(FreelistProtection::verify);
    is::<fn(usize) -> FailAfter>(FailAfter::new);
    is::<fn(&FailAfter) -> usize>(FailAfter::remaining);
    is::<fn(usize) -> FailEveryNth>(FailEveryNth::new);
    is::<fn(usize) -> FailOnSize>(FailOnSize::new);
    is::<fn(&FailOnSize, NonZeroLayout) -> bool>(AllocFaultPolicy::should_fail);
    is::<[ProtectFlags; 4]>([ProtectFlags::NONE, ProtectFlags::RW, ProtectFlags::READ, ProtectFlags::RX]);
    is::<usize>(CACHE_LINE);
    is::<fn(&In)>(testing::assert_combined_invariants::<In>);
    is::<fn(&System)>(testing::assert_allocator_basic_round_trip::<System>);
    is::<fn(&System)>(testing::assert_allocator_respects_alignment::<System>);
    is::<fn(&HeapBytes)>(testing::assert_fixed_range_invariants::<HeapBytes>);
    is::<fn(&System, NonZeroLayout) -> R<NonNull<[u8]>>>(Allocator::allocate);
    is::<fn(&System, NonZeroLayout) -> R<NonNull<[u8]>>>(Allocator::allocate_zeroed);
    is::<unsafe fn(&System, NonNull<u8>, NonZeroLayout, NonZeroLayout) -> R<NonNull<[u8]>>>(Allocator::grow);
    is::<unsafe fn(&System, NonNull<u8>, NonZeroLayout, NonZeroLayout) -> R<NonNull<[u8]>>>(
        Allocator::shrink,
    );
    is::<unsafe fn(&System, NonNull<u8>, NonZeroLayout)>(Deallocator::deallocate);
    is::<unsafe fn(&System, NonNull<u8>, NonZeroLayout) -> Option<usize>>(Allocator::usable_size);
    is::<fn(&mut Ba) -> R<()>>(<Ba as Allocator>::reset);
    is::<fn(&Ba) -> Option<usize>>(Allocator::capacity_bytes);
    is::<fn(&Ba) -> u64>(Allocator::corruption_events);
    is::<fn(&Ba, usize, usize) -> R<()>>(FixedRange::commit);
    is::<fn(&Ba, NonNull<u8>) -> bool>(FixedRange::contains);
    is::<unsafe fn(&MmapBacked, NonNull<u8>, usize, ProtectFlags)>(OsBacked::protect);
    is::<unsafe fn(&MmapBacked, NonNull<u8>, usize)>(OsBacked::release_pages);
    let _dyn: Option<&dyn Deallocator> = None;
}
#[test]
fn backings() {
    const IB: In = InlineBacked::new();
    is::<&In>(&IB);
    is::<fn(&In) -> usize>(In::allocated);
    is::<fn(&mut In)>(In::reset);
    is::<fn(&'static mut [u8]) -> StaticBacked<'static>>(StaticBacked::new);
    is::<fn(usize) -> R<HeapBytes>>(HeapBytes::new);
    is::<fn(usize) -> R<HeapBytes>>(HeapBytes::new_zeroed);
    is::<fn(usize, usize) -> R<HeapBytes>>(HeapBytes::with_align);
    is::<fn(usize, usize) -> R<HeapBytes>>(HeapBytes::with_align_zeroed);
    is::<fn(usize) -> R<MmapBacked>>(MmapBacked::new);
    is::<fn(usize) -> R<MmapBacked>>(MmapBacked::with_huge_pages);
    is::<fn(usize) -> R<MmapBacked>>(MmapBacked::new_lazy);
    is::<fn(usize, MmapFlags) -> R<MmapBacked>>(MmapBacked::with_flags);
    is::<fn() -> bool>(MmapFlags::populate_supported);
    is::<fn(usize) -> R<LockedMmapBacked>>(LockedMmapBacked::new);
    is::<fn(usize, usize) -> R<HugePageBacked>>(HugePageBacked::with_huge_page_size);
    is::<fn(&HugePageBacked) -> usize>(HugePageBacked::huge_page_size);
    is::<fn() -> usize>(page_size);
    is::<fn() -> Option<std::io::Error>>(mmap_last_os_error);
    is::<(fn(), fn())>((mmap_clear_last_os_error, mmap_record_os_error));
    send::<In>();
    send::<HeapBytes>();
    send::<MmapBacked>();
    sync::<StaticBacked>();
    sync::<System>();
    os::<MmapBacked>();
    os::<HugePageBacked>();
    os::<LockedMmapBacked>();
    fixed::<HeapBytes>();
    alloc::<System>();
    is::<usize>(MAX_ALIGN);
}
#[test]
fn layouts() {
    is::<fn(In) -> R<Ba>>(BumpArena::new);
    is::<fn(&Ba) -> &In>(Ba::backing);
    is::<for<'a> fn(&'a Ba) -> BumpDeallocator<'a>>(Ba::deallocator);
    is::<fn(&mut Ba)>(Ba::reset);
    is::<fn(&mut Ba, usize)>(Ba::rewind_to);
    is::<fn(&Ba) -> R<NonNull<u64>>>(Ba::alloc_uninit::<u64>);
    is::<fn(&Ba, u64) -> R<NonNull<u64>>>(Ba::alloc::<u64>);
    is::<fn(&Ba, &[u8]) -> R<NonNull<[u8]>>>(Ba::alloc_slice_copy::<u8>);
    is::<fn(&Ba, &str) -> R<NonNull<str>>>(Ba::alloc_str);
    is::<for<'a> fn(&'a mut Ba) -> Scope<'a, In>>(Ba::scope);
    fn sc<'a>(s: &'a Scope<'_, In>) -> R<&'a mut MaybeUninit<u8>> {
        s.alloc_uninit::<u8>()
    }
    fn sb<'a>(s: &'a Scope<'_, In>, l: NonZeroLayout) -> R<&'a mut [u8]> {
        s.allocate(l)
    }
    fn ss<'a>(s: &'a Scope<'_, In>) -> R<(&'a mut u8, &'a mut [u8], &'a mut str)> {
        Ok((s.alloc(1)?, s.alloc_slice_copy(&[1])?, s.alloc_str("x")?))
    }
    is((
        sc as fn(&'static Scope<'static, In>) -> _,
        sb as fn(&'static Scope<'static, In>, _) -> _,
        ss as fn(&'static Scope<'static, In>) -> _,
    ));
    is::<fn(In) -> R<SharedBumpArena<In>>>(SharedBumpArena::new);
    is::<fn(In, usize) -> R<StackAlloc<In>>>(StackAlloc::with_max_depth);
    is::<fn(In, System) -> WithFallback<In, System>>(WithFallback::new);
    is::<fn(In, In) -> R<WithFallback<In, In>>>(WithFallback::try_new);
    is::<fn(WithFallback<In, System>) -> (In, System)>(WithFallback::into_parts);
    is::<fn(&WithFallback<In, In>) -> bool>(WithFallback::ranges_disjoint);
    type P = ArenaPool<In, fn() -> R<In>>;
    is::<fn(usize, fn() -> R<In>) -> P>(P::new);
    is::<fn(&mut P) -> R<Ba>>(P::checkout);
    is::<fn(&mut P, Ba)>(P::give_back);
    is::<fn(&mut P, usize) -> R<usize>>(P::prewarm);
    is::<fn(&ArenaPool<MmapBacked, fn() -> R<MmapBacked>>)>(ArenaPool::release_idle);
    os::<BumpArena<MmapBacked>>();
    sync::<SharedBumpArena<In>>();
    send::<Scope<'static, In>>();
    fixed::<StackAlloc<In>>();
}
#[test]
fn handles() {
    is::<fn(MmapBacked, [usize; 3], u32) -> R<SizeClassed<MmapBacked, 3>>>(SizeClassed::with_class_sizes);
    is::<fn(MmapBacked, u32) -> R<SizeClassed<MmapBacked, 8>>>(SizeClassed::with_default_classes);
    is::<fn(MmapBacked, u32) -> R<SizeClassed<MmapBacked, 24>>>(SizeClassed::with_fine_classes);
    is::<fn(MmapBacked, ClassTable<3>, u32) -> R<SizeClassed<MmapBacked, 3>>>(SizeClassed::with_table);
    is::<fn(MmapBacked, ClassTable<3>, [u32; 3]) -> R<SizeClassed<MmapBacked, 3>>>(SizeClassed::with_slots);
    is::<fn(&SizeClassed<MmapBacked, 3>) -> &[usize; 3]>(SizeClassed::class_sizes);
    is::<fn(&SizeClassed<MmapBacked, 3>) -> &MmapBacked>(SizeClassed::backing);
    is::<fn(&SizeClassed<MmapBacked, 3>) -> &ClassTable<3>>(SizeClassed::table);
    is::<fn([usize; 3]) -> R<ClassTable<3>>>(ClassTable::try_new);
    is::<fn(ClassTable<3>, usize) -> ClassTable<3>>(ClassTable::with_align_limit);
    is::<fn(&ClassTable<3>, NonZeroLayout) -> Option<usize>>(ClassTable::class_of);
    is::<([usize; 8], [usize; 24])>((DEFAULT_CLASS_SIZES_8, FINE_CLASS_SIZES_24));
    send::<SizeClassed<MmapBacked, 8>>();
    is::<fn(usize, In) -> R<GenerationalSlab<u64, In>>>(GenerationalSlab::new);
    is::<fn(usize, In) -> R<GenerationalSlab<u64, In, u64>>>(GenerationalSlab::with_generation);
    type G = GenerationalSlab<u64, In>;
    is::<fn(&mut G, u64) -> R<Handle<u64>>>(G::insert);
    is::<for<'a> fn(&'a G, Handle<u64>) -> Option<&'a u64>>(G::get);
    is::<for<'a> fn(&'a mut G, Handle<u64>) -> Option<&'a mut u64>>(G::get_mut);
    is::<fn(&mut G, Handle<u64>) -> Option<u64>>(G::remove);
    is::<fn(&G, Handle<u64>) -> bool>(G::contains);
    is::<fn(&G) -> usize>(G::capacity);
    is::<(u32, u64)>((<u32 as GenerationInt>::ZERO, GenerationInt::wrapping_inc(1u64)));
    send::<Handle<*const u8>>();
    sync::<Handle<*const u8, u64>>();
    send::<G>();
}
#[test]
fn slabs() {
    is::<fn(usize, In) -> R<Slab<u64, In>>>(Slab::new);
    is::<fn(usize, In, SipHashMAC) -> R<Slab<u64, In, SipHashMAC>>>(Slab::with_protection);
    is::<fn(&Slab<u64, In>) -> usize>(Slab::block_stride);
    is::<fn(&Slab<u64, In>) -> usize>(Slab::capacity);
    is::<fn(&Slab<u64, In>) -> &In>(Slab::backing);
    send::<Slab<u64, In>>();
    fixed::<Slab<u64, In, SipHashMAC>>();
    alloc::<Slab<u64, In, SipHashMAC>>();
}
#[test]
#[cfg(target_has_atomic = "64")]
fn remote_frees() {
    type O = SlabOwner<u64, In>;
    is::<fn(usize, In) -> R<O>>(O::new);
    is::<fn(usize, In, BatchPolicy, usize) -> R<O>>(O::with_batch_policy);
    is::<fn(&O) -> SlabRemote<u64, In>>(O::remote);
    is::<fn(&O)>(O::drain);
    is::<fn(&O) -> Option<usize>>(O::adaptive_threshold_snapshot);
    is::<unsafe fn(&SlabRemote<u64, In>, NonNull<u8>, NonZeroLayout) -> Result<(), NonNull<u8>>>(
        SlabRemote::try_deallocate,
    );
    is::<([usize; 5], u32)>((ADAPTIVE_LEVELS, ADAPTIVE_COOLDOWN_TICKS));
    is::<[BatchPolicy; 3]>([BatchPolicy::Fixed(64), BatchPolicy::Adaptive, BatchPolicy::default()]);
    send::<O>();
    fixed::<O>();
    alloc::<O>();
    send::<SlabRemote<u64, In>>();
    sync::<SlabRemote<u64, In>>();
}
#[test]
fn segments() {
    is::<fn(usize) -> ExtendableSlab<u64>>(ExtendableSlab::new);
    is::<fn(usize, fn() -> SipHashMAC) -> ExtendableSlab<u64, SipHashMAC>>(ExtendableSlab::with_protection);
    is::<fn(usize, usize, fn() -> NoProtection) -> R<ExtendableSlab<u64>>>(
        ExtendableSlab::with_initial_segments,
    );
    is::<fn(&ExtendableSlab<u64>) -> usize>(ExtendableSlab::segment_count);
    send::<ExtendableSlab<u64, SipHashMAC>>();
    sync::<ExtendableSlab<u64>>();
    alloc::<ExtendableSlab<u64>>();
}
#[test]
fn placement() {
    is::<(fn() -> Option<u32>, fn() -> usize)>((current_numa_node, default_huge_page_size));
}
#[test]
fn observing() {
    type S = Slab<u64, In>;
    is::<fn(Ba) -> Statistics<Ba>>(Statistics::new);
    is::<fn(&Statistics<Ba>) -> &AllocStats>(Statistics::stats);
    is::<fn(&Statistics<Ba>) -> &Ba>(Statistics::inner);
    is::<fn() -> AllocStats>(AllocStats::new);
    is::<fn(&AllocStats) -> u64>(AllocStats::current_bytes);
    is::<fn(&AllocStats) -> u64>(AllocStats::peak_bytes);
    is::<fn(&AllocStats) -> i64>(AllocStats::live_count);
    is::<fn(Ba, NullHandler) -> Watermark<Ba, NullHandler>>(Watermark::new);
    is::<fn(Ba, NullHandler, WatermarkThresholds) -> Watermark<Ba, NullHandler>>(Watermark::with_thresholds);
    is::<fn(&Watermark<Ba, NullHandler>) -> usize>(Watermark::allocated_bytes);
    is::<fn(&Watermark<Ba, NullHandler>) -> &NullHandler>(Watermark::handler);
    is::<fn(&Watermark<Ba, LogHandler>)>(Watermark::rearm);
    is::<fn(&FnHandler<fn(WatermarkEvent)>, WatermarkEvent)>(WatermarkHandler::on_oom);
    is::<fn(Ba, AlwaysFail) -> Faulty<Ba, AlwaysFail>>(Faulty::new);
    is::<fn(&Faulty<Ba, AlwaysFail>) -> &AlwaysFail>(Faulty::policy);
    is::<fn(Faulty<Ba, NeverFail>) -> (Ba, NeverFail)>(Faulty::into_parts);
    fixed::<Faulty<Watermark<Statistics<Ba>, NullHandler>, NeverFail>>();
    os::<Statistics<MmapBacked>>();
    send::<Statistics<S>>();
    send::<AllocStats>();
    sync::<AllocStats>();
    sync::<Statistics<System>>();
    sync::<Watermark<System, NullHandler>>();
    sync::<Faulty<System, FailAfter>>();
}
#[test]
fn guards() {
    is::<fn(MmapBacked, usize) -> R<GuardPage<MmapBacked>>>(GuardPage::new);
    is::<fn(&GuardPage<MmapBacked>) -> usize>(GuardPage::page_size);
    is::<fn(&GuardPage<MmapBacked>) -> usize>(GuardPage::allocated);
    is::<fn(&GuardPage<MmapBacked>) -> &MmapBacked>(GuardPage::inner);
    is::<fn(MmapBacked, usize) -> R<SplitMetadata<MmapBacked>>>(SplitMetadata::new);
    is::<fn(MmapBacked, MmapBacked) -> SplitMetadata<MmapBacked>>(SplitMetadata::with_meta);
    is::<fn(&SplitMetadata<In>) -> NonNull<u8>>(SplitMetadata::meta_base);
    is::<fn(&SplitMetadata<In>) -> usize>(SplitMetadata::meta_size);
    is::<fn(&SplitMetadata<In>) -> &MmapBacked>(SplitMetadata::meta);
    is::<fn(&SplitMetadata<In>) -> &In>(SplitMetadata::data);
    alloc::<HardenedSlab<u64, SipHashMAC>>();
    alloc::<CryptoSlab<[u8; 64]>>();
    alloc::<GuardedSlab<u64>>();
    os::<SplitMetadata<MmapBacked>>();
    fixed::<GuardPage<MmapBacked>>();
    fixed::<SplitMetadata<In>>();
    fixed::<CryptoSlab<u64>>();
    send::<GuardPage<SplitMetadata<MmapBacked>>>();
    send::<HardenedSlab<u64>>();
    send::<CryptoSlab<u64>>();
    send::<GuardedSlab<u64>>();
}
#[test]
fn hardening() {
    is::<fn(Ba, u8) -> PoisonOnFree<Ba>>(PoisonOnFree::with_pattern);
    is::<fn(&PoisonOnFree<Ba>) -> u8>(PoisonOnFree::pattern);
    is::<fn(Ba) -> ZeroizeOnFree<Ba>>(ZeroizeOnFree::new);
    is::<fn(Ba, u64) -> Canary<Ba>>(Canary::new_with_seed);
    is::<fn(&Canary<Ba>) -> u64>(Canary::canary_value);
    is::<fn(Ba) -> Quarantine<Ba, 4>>(Quarantine::new);
    is::<fn(&Quarantine<Ba, 4>) -> usize>(Quarantine::deallocate_count);
    is::<fn(Ba, usize, usize, u64) -> Option<CacheJitter<Ba>>>(CacheJitter::with_params);
    is::<fn(&CacheJitter<Ba>) -> usize>(CacheJitter::associativity);
    is::<u8>(DEFAULT_POISON);
    fixed::<
        Faulty<
            CacheJitter<
                Canary<Quarantine<Watermark<Statistics<PoisonOnFree<ZeroizeOnFree<Ba>>>, NullHandler>, 2>>,
            >,
            NeverFail,
        >,
    >();
}
#[test]
fn placing() {
    is::<fn(MmapBacked, usize) -> Option<HugePageAligned<MmapBacked>>>(HugePageAligned::with_huge_page_size);
    is::<fn(&HugePageAligned<MmapBacked>) -> usize>(HugePageAligned::min_purge_size);
    is::<fn(MmapBacked, NumaPolicy) -> R<NumaLocal<MmapBacked>>>(NumaLocal::new);
    is::<fn(&NumaLocal<MmapBacked>) -> &NumaPolicy>(NumaLocal::policy);
    is::<fn(NodeSet, u32) -> Option<NodeSet>>(NodeSet::with);
    is::<fn(&NodeSet) -> u64>(NodeSet::mask);
    is::<fn(&NodeSet) -> u32>(NodeSet::mbind_maxnode);
    os::<HugePageAligned<NumaLocal<MmapBacked>>>();
}
